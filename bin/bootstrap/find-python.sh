# Sourced by the commands in bin/: sets $python to an interpreter of 3.11 to 3.14, for which there are wheels.
python=
for candidate in python3 python3.13 python3.12 python3.14 python3.11 python; do
	if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -E -c \
		'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1 </dev/null; then
		python=$candidate
		break
	fi
done
if [ -z "$python" ]; then
	echo "Videoproc needs Python 3.11, 3.12, 3.13 or 3.14, and none was found on PATH." >&2
	echo "On Debian and Ubuntu: apt-get install python3" >&2
	exit 1
fi
