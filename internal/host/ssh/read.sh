# Reads what rekey needs of this host, and changes nothing. Each line on standard
# input is one question, "NAME LIMIT PATH"; the path is in octal escapes, so that
# nothing in it is ever taken for a word of this script. The answer is lines: data
# in hexadecimal begins with a space, a fact with its name, an obstacle with "!";
# a dot ends it. Tokens are taken out of arguments before they are sent.
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin
umask 077

hex() { od -An -v -tx1; }
# One line of at most 60,000 digits and blanks: a longer one would end the connection.
text() { printf '%s' "$2" 2>/dev/null | { printf '%s' "$1"; od -An -v -tx1 -N 20000 | tr -d '\n'; echo; }; }

hello() {
	echo "system $(uname -s 2>/dev/null)"
	echo "uid $(id -u 2>/dev/null)"
	text user "$(id -un 2>/dev/null)"
	text home "$HOME"
	text service "$( (getent passwd gitlab-runner || grep '^gitlab-runner:' /etc/passwd) 2>/dev/null </dev/null | head -n 1 | cut -d: -f6)"
	[ -r /proc/sys/kernel/random/boot_id ] && echo "boot $(cat /proc/sys/kernel/random/boot_id)"
	grep '^btime ' /proc/stat 2>/dev/null </dev/null
	:
}

look() {
	e=$(ls -Ld "$1" 2>&1 >/dev/null </dev/null)
	case $e in
	'') ;;
	*'ermission denied'*) echo '! denied'; return ;;
	*'oo many levels'* | *'ymbolic link loop'*) echo '! loop'; return ;;
	*'ot a directory'*) echo '! notdir'; return ;;
	*)
		if [ -L "$1" ]; then
			text link "$(readlink "$1" </dev/null)"
			echo '! dangling'
		else
			echo '! missing'
		fi
		return
		;;
	esac
	if [ -f "$1" ]; then echo 'kind file'; elif [ -d "$1" ]; then echo 'kind directory'; elif [ -p "$1" ]; then echo 'kind named pipe'; else echo 'kind device'; fi
	s=$(stat -L -c '%s %Y %Z %d:%i' "$1" 2>/dev/null </dev/null) || s=$(stat -L -f '%z %m %c %d:%i' "$1" 2>/dev/null </dev/null)
	[ -n "$s" ] && echo "stat $s"
	text real "$(readlink -f "$1" 2>/dev/null </dev/null)"
	[ -L "$1" ] && echo 'is link'
	[ -r "$1" ] || echo 'is unreadable'
}

content() {
	if [ ! -f "$2" ]; then
		echo '! notfile'
	elif od -An -v -tx1 -N "$1" "$2" 2>/dev/null </dev/null; then
		:
	else
		echo '! denied'
	fi
}

# One attempt with sudo, for a file that this user may not read. It never asks for
# a password. What sudo warns of beside is no refusal: its status counts, and 141 is
# cat whose reader had enough.
asroot() {
	command -v sudo >/dev/null 2>&1 || { echo '! nosudo'; return; }
	{ e=$({ { sudo -n cat "$2" </dev/null; echo "status $?" >&2; } | od -An -v -tx1 -N "$1" >&3; } 2>&1); } 3>&1
	case $e in
	*'status 0' | *'status 141') ;;
	*'o such file'*) echo '! missing' ;;
	*'s a directory'*) echo '! notfile' ;;
	*) echo '! nosudo' ;;
	esac
}

running() {
	[ -d /proc/self ] || { echo '! noproc'; return; }
	for d in /proc/[0-9]*; do
		grep -qaE 'gitlab-(runner|ci-multi-runner)' "$d/cmdline" 2>/dev/null </dev/null || continue
		[ "${d#/proc/}" = "$$" ] && continue
		echo "pid ${d#/proc/}"
		echo arguments
		tr '\0' '\n' <"$d/cmdline" 2>/dev/null | awk '
			skip { skip = 0; print ""; next }
			/^--?[a-z-]*token[a-z-]*=/ { sub(/=.*/, "="); print; next }
			/^--?([a-z-]*token[a-z-]*|t|r)$/ { skip = 1 }
			{ print }' | hex
		echo status
		grep -E '^(Uid|SigCgt):' "$d/status" 2>/dev/null </dev/null | hex
		echo "stat $(sed 's/.*)//' "$d/stat" 2>/dev/null </dev/null)"
		w=$( (CDPATH= cd -P "$d/cwd" && pwd -P) 2>/dev/null) && text dir "$w"
		echo environ
		(tr '\0' '\n' <"$d/environ" | grep -E '^(CONFIG_FILE|HOME)=' | hex) 2>/dev/null
		[ -r "$d/environ" ] && echo 'is open'
	done
}

journal() {
	command -v journalctl >/dev/null 2>&1 || { echo '! nojournal'; return; }
	journalctl -u gitlab-runner --since -24h --no-pager --quiet -o short-iso 2>/dev/null </dev/null | tail -c "$1" | hex
}

# Where change.sh does not follow, nothing can be changed.
change() { echo '! unknown'; }
