echo
echo 'rekey reads'
while read -r name limit path more; do
	path=$(printf '%b.' "$path")
	path=${path%.}
	case $name in
	hello) hello ;;
	look) look "$path" ;;
	content) content "$limit" "$path" ;;
	asroot) asroot "$limit" "$path" ;;
	running) running ;;
	journal) journal "$limit" ;;
	*) change "$name" "$limit" "$path" "$more" ;;
	esac
	echo .
done
