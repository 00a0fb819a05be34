
# What follows changes a config, and is sent only to a host that is to be changed. A
# token comes on standard input and is in no argument. When the connection ends, what
# was begun is still ended: these signals would leave it half done.
trap '' HUP PIPE

change() {
	case $1 in
	able) able "$3" ;;
	put) put "$2" "$3" $4 ;;
	lock) lock "$2" "$3" ;;
	unlock) unlock "$2" "$3" ;;
	copies) copies "$3" ;;
	forget) { rm -f "$3" 2>/dev/null </dev/null && flush "${3%/*}/"; } || echo '! denied' ;;
	putback) putback "$3" $4 ;;
	touch) touch "$3" 2>/dev/null </dev/null || echo '! denied' ;;
	signal) signal "$2" "$3" $4 ;;
	systemctl) systemctl_ "$3" $4 ;;
	*) echo '! unknown' ;;
	esac
}

# The digest of standard input.
sum() {
	if command -v sha256sum; then sha256sum; elif command -v shasum; then shasum -a 256; else openssl dgst -sha256 -r; fi | {
		while read -r s rest; do case $s in */*) ;; *) echo "$s" ;; esac; done
	}
}
sumof() { sum 2>/dev/null <"$1"; }

flush() { sync "$1" 2>/dev/null </dev/null || sync </dev/null; }

# What decides whether and how a file can be replaced: the file itself, not a link to it.
able() {
	real=$(readlink -f "$1" 2>/dev/null </dev/null)
	[ -n "$real" ] && set -- "$real"
	d=${1%/*}/
	[ -n "$(sum 2>/dev/null </dev/null)" ] && echo 'is summed'
	[ -w "$1" ] && echo 'is writable'
	[ -w "$d" ] && [ -x "$d" ] && echo 'is roomy'
	echo "owner $(stat -c '%u %g %h' "$1" 2>/dev/null </dev/null)"
	echo "dir $(stat -c '%u %a' "$d" 2>/dev/null </dev/null)"
	echo "groups $(id -G 2>/dev/null)"
	text real "$real"
	echo "flags $(lsattr -d "$1" 2>/dev/null </dev/null | cut -d' ' -f1)"
	echo "dirflags $(lsattr -d "$d" 2>/dev/null </dev/null | cut -d' ' -f1)"
	echo "free $(df -Pk "$d" 2>/dev/null </dev/null | tail -n 1 | awk '{ print $(NF-2) }')"
	echo "inodes $(df -Pi "$d" 2>/dev/null </dev/null | tail -n 1 | awk '{ print $(NF-4), $(NF-2) }')"
	echo "size $(stat -c %s "$1" 2>/dev/null </dev/null)"
}

# In a sticky directory the kernel refuses to open another user's file for making it
# (fs.protected_regular), which dd asks for unless it is told not to.
there() { dd if=/dev/null of=/dev/null conv=nocreat 2>/dev/null && echo nocreat; }

# Takes exactly that many bytes off standard input, into a file that is there.
take() {
	nc=$(there </dev/null)
	if dd if=/dev/null of=/dev/null count=1 iflag=fullblock 2>/dev/null; then
		dd bs="$1" count=1 iflag=fullblock of="$2" ${nc:+conv=$nc} 2>/dev/null
	else
		dd bs=1 count="$1" of="$2" ${nc:+conv=$nc} 2>/dev/null
	fi
}

# Everything about a file that a replacement has to keep.
looks() {
	stat -c '%u:%g:%a' "$1"
	ls -ld "$1" | cut -c1-11
	ls -Zd "$1" 2>/dev/null | cut -d' ' -f1 | grep :
	getfacl -cp "$1" 2>/dev/null
	getfattr -d -m '^(user|security\.selinux|security\.SMACK64)' --absolute-names "$1" 2>/dev/null | grep -v '^#'
}

# Gives a new file what the old one has; fails where it cannot.
dress() {
	cp --attributes-only --preserve=all "$1" "$2" 2>/dev/null || {
		chown "$(stat -c '%u:%g' "$1")" "$2"
		chmod "$(stat -c '%a' "$1")" "$2"
		chcon --reference="$1" "$2"
		getfacl -p "$1" | setfacl --set-file=- "$2"
	} 2>/dev/null
	[ "$(looks "$1")" = "$(looks "$2")" ] && newer "$1" "$2" "$2"
}

# Makes the third file's time strictly newer than the first one's.
newer() {
	touch "$3" 2>/dev/null
	[ "$2" -nt "$1" ] || touch -d "@$(($(stat -c %Y "$1") + 2))" "$3" 2>/dev/null
	:
}

# put SIZE FILE EXPECT NEXT MARK ID WAY: the SIZE bytes that follow take the place of
# those of FILE. FILE is real, EXPECT and NEXT are digests, MARK and ID are of the
# copies' names, WAY is "rename" or "inplace". A line "how" says it was done.
put() {
	d=${2%/*}/
	n=${2##*/}
	new=$d.$n.rekey-$6.tmp
	old=$d.$n.rekey-$5.swap
	# Nobody may open the copy who may not open the file: where the directory has a
	# default ACL umask counts for nothing, but cp -p makes it with the file's own mode.
	{ cp -p "$2" "$new" && chmod 600 "$new"; } 2>/dev/null </dev/null || {
		rm -f "$new" </dev/null
		echo '! nofile'
		echo .
		exit
	}
	if ! take "$1" "$new" || [ "$(sumof "$new")" != "$4" ]; then
		rm -f "$new" </dev/null
		echo '! full' # what was not taken must not be taken for questions
		echo .
		exit
	fi
	put_ "$2" "$3" "$4" "$7" </dev/null
}

put_() {
	[ "$(sumof "$1")" = "$2" ] || { rm -f "$new"; echo '! moved'; return; }
	if [ "$4" = rename ] && dress "$1" "$new"; then
		flush "$new"
		rm -f "$old"
		ln "$1" "$old" 2>/dev/null
		linked=$?
		[ "$(sumof "$1")" = "$2" ] || { rm -f "$new" "$old"; echo '! moved'; return; }
		if e=$(mv -f "$new" "$1" 2>&1); then
			[ $linked = 0 ] && { settle "$1" "$2" "$3" || return; }
			rm -f "$old"
			flush "$d"
			echo 'how rename'
			return
		fi
		rm -f "$old"
		case $e in
		*[Bb]usy*) ;; # mounted by itself
		*) rm -f "$new"; echo '! norename'; text said "$e"; return ;;
		esac
	fi
	inplace "$1" "$2" "$3"
}

# What came out, at $old, has to be what was expected, also after the new file is on
# the disk: gitlab-runner may have had the old one open. Else it goes back, and what
# comes out then has to be what was put there.
settle() {
	want=$2 placed=$3 round=0
	while [ $round -lt 5 ]; do
		out=$(sumof "$old")
		if [ "$out" = "$want" ]; then
			flush "$d"
			out=$(sumof "$old")
		fi
		if [ "$out" = "$want" ]; then
			[ $round = 0 ] && return 0
			rm -f "$old"
			echo '! moved'
			return 1
		fi
		ln "$1" "$new" && mv -f "$old" "$1" && mv -f "$new" "$old" || break
		want=$placed placed=$out round=$((round + 1))
	done
	echo '! moving'
	return 1
}

# Writes over the file's own bytes, and takes that back where it fails. What is there
# after it went well and is something else was written by another, and stays.
inplace() {
	cp -p "$1" "$old" 2>/dev/null && chmod 600 "$old" && [ "$(sumof "$old")" = "$2" ] || {
		rm -f "$new" "$old"
		echo '! moved'
		return
	}
	if over "$new" "$1"; then
		if [ "$(sumof "$1")" = "$3" ]; then
			newer "$old" "$1" "$1"
			echo 'how in place'
		else
			echo '! moved'
		fi
	elif [ "$(sumof "$1")" = "$2" ] || { over "$old" "$1" && [ "$(sumof "$1")" = "$2" ]; }; then
		echo '! unwritten'
	else
		rm -f "$new"
		echo '! torn'
		return
	fi
	rm -f "$new" "$old"
	flush "$d"
}

# over FROM TO: in one write, and where the text is shorter, with newlines up to the
# old end, which then are cut off: what ends in between leaves nothing of the old text
# behind the new one. They are not cut off what another wrote meanwhile.
over() {
	nc=$(there)
	s=$(stat -c %s "$1") && t=$(stat -c %s "$2") || return 1
	padded "$1" $((t - s)) | dd ibs=65536 obs=$((s + t + 1)) of="$2" conv=notrunc${nc:+,$nc} 2>/dev/null || return 1
	if [ "$t" -gt "$s" ]; then
		flush "$2"
		[ "$(sumof "$2")" = "$(padded "$1" $((t - s)) | sum 2>/dev/null)" ] || return 0
		dd if=/dev/null of="$2" bs=1 seek="$s" count=0 ${nc:+conv=$nc} 2>/dev/null || return 1
	fi
	flush "$2"
}

# A file's bytes and that many newlines.
padded() {
	cat "$1"
	[ "$2" -le 0 ] || dd if=/dev/zero bs="$2" count=1 2>/dev/null | tr '\0' '\n'
}

# Nobody else's rekey works in this directory while this shell holds it: flock ends
# with the shell, and a directory is what there is where flock is not.
lock() {
	[ -d "$2" ] && [ -r "$2" ] || { echo '! denied'; return; }
	if command -v flock >/dev/null 2>&1; then
		eval "exec $1<\"\$2\""
		e=$(flock -n "$1" 2>&1)
		case $? in
		0) echo 'is locked'; return ;;
		1) eval "exec $1<&-" ;;
		*) eval "exec $1<&-"; echo '! nolock'; text said "$e"; return ;;
		esac
		echo '! held'
		for f in /proc/[0-9]*/fd/*; do
			[ "$f" -ef "$2" ] || continue
			f=${f#/proc/}
			echo "holder ${f%%/*}"
		done 2>/dev/null
		return
	fi
	if mkdir "$2/.rekey.lock" 2>/dev/null </dev/null; then
		echo "process $$, since $(date)" >"$2/.rekey.lock/owner"
		trap release EXIT
		eval "held$1=\$2/.rekey.lock"
		echo 'is locked'
		return
	fi
	echo '! heldby'
	text said "$(cat "$2/.rekey.lock/owner" 2>/dev/null </dev/null)"
}

unlock() {
	eval "exec $1<&-"
	drop "$1"
}

# A lock that is a directory goes; each slot has its own, or none.
drop() {
	eval "gone=\${held$1-} held$1="
	[ -z "$gone" ] || rm -rf "$gone" </dev/null
}
release() { for slot in 4 5 6 7 8 9; do drop $slot; done; }

copies() {
	for f in "$1"/.*.rekey-*.tmp "$1"/.*.rekey-*.swap; do
		[ -f "$f" ] && [ ! -L "$f" ] && text "copy" "${f##*/}"
	done
	:
}

# putback COPY FILE-OF-THE-SAME-DIRECTORY: COPY takes the file's place again.
putback() {
	mv -f "$1" "${1%/*}/$(printf '%b' "$2")" 2>/dev/null </dev/null || echo '! denied'
	flush "${1%/*}/"
}

# signal PID TICKS NAME: only to the process that was looked at.
signal() {
	s=$(sed 's/.*)//' "/proc/$1/stat" 2>/dev/null </dev/null | awk '{ print $20 }')
	[ -n "$s" ] && [ "$s" = "$2" ] || { echo '! ended'; return; }
	kill -s "$3" "$1" 2>/dev/null || echo '! denied'
}

# systemctl_ UNIT WORDS…
systemctl_() {
	unit=$1
	shift
	command -v systemctl >/dev/null 2>&1 || { echo '! none'; return; }
	if e=$(systemctl --no-ask-password --no-pager "$@" -- "$unit" 2>&1 </dev/null); then
		text said "$e"
	else
		echo '! failed'
		text said "$e"
	fi
}
