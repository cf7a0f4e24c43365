# What a program that was started sees. Each program of the zoo starts it in its own way.
echo "arguments: $*"
env | sort
# Without what has another number each time.
ls -l /proc/self/fd | sed -nE '/ -> /{ s/.* ([0-9]+ -> )/\1/; s/\[[0-9]+\]//; s/tcl_[A-Za-z0-9]+/tcl/; s,/proc/[0-9]+/,/proc/self/,; p; }'
grep -E '^(Sig|Shd)(Blk|Ign)' /proc/self/status
umask
ulimit -a
id -un
exit 3
