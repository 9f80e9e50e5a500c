# What a process finds in a container, in an order and form that two engines can be compared by. Run by the container's own sh
# (busybox will do); names that differ from run to run are left for compare-docker to even out.

exec 2>/dev/null

say() {
	printf '\n# %s\n' "$*"
}
try() { # a command's exit status and last words
	words=$("$@" 2>&1 </dev/null | tail -n 1 | cut -c 1-200)
	"$@" >/dev/null 2>&1 </dev/null
	echo "$* -> $? $words"
}

say identity
id
echo "cwd $(pwd)"
echo "umask $(umask)"
echo "hostname $(hostname)"
echo "parent $PPID"
cat /proc/self/oom_score_adj

say environment
env | grep -v -e '^SHLVL=' -e '^PWD=' -e '^OLDPWD=' -e '^_=' | sort

say privileges
grep -e '^Cap' -e '^NoNewPrivs' -e '^Seccomp' -e '^Uid' -e '^Gid' -e '^Groups' -e '^Umask' /proc/self/status
grep -e '^Sig' /proc/1/status | grep -v SigQ

say limits
cat /proc/self/limits

say mounts
while read -r source target type options rest; do
	case $type in
	overlay) options=$(echo "$options" | cut -d, -f1,2) ;;
	esac
	echo "$target $type $source $options"
done </proc/mounts

say /dev
ls -ln /dev /dev/pts /dev/shm /dev/mqueue | awk '{ if ($1 ~ /^[-dlcbps]/) { if ($1 ~ /^[cb]/) print $1, $3, $4, $5, $6, $NF; else { s = $1 " " $3 " " $4; for (i = 9; i <= NF; i++) s = s " " $i; print s } } else if ($1 != "total") print }'
ls -l /proc/self/fd | awk 'NR > 1 { print $1, $9 }' | grep -v ' 3$'

say files of /etc
for f in hosts hostname resolv.conf; do
	echo "== $f $(stat -c '%a %u %g' /etc/$f)"
	cat /etc/$f
done

say hidden and read-only
for f in asound acpi kcore keys latency_stats timer_list timer_stats sched_debug scsi; do
	if [ -e /proc/$f ]; then
		echo "/proc/$f $(stat -c '%F %a' /proc/$f) $(head -c 1 /proc/$f | wc -c) $(ls /proc/$f 2>/dev/null | head -n 1)"
	else
		echo "/proc/$f is not there"
	fi
done
ls /sys/firmware | wc -l
for f in /proc/sysrq-trigger /proc/sys/kernel/domainname /proc/bus/x /proc/irq/x /proc/fs/x /sys/x /sys/fs/cgroup/x /x /etc/x /dev/x; do
	if [ -d "$(dirname $f)" ]; then
		case $f in
		*trigger | *domainname) [ -w $f ] && echo "$f can be written" || echo "$f cannot be written" ;;
		*) (: >$f) 2>/dev/null && echo "$f can be made" && rm -f $f || echo "$f cannot be made" ;;
		esac
	fi
done
cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range

say cgroup
cat /proc/self/cgroup
for f in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares pids/pids.max memory.max memory.swap.max cpu.max; do
	[ -e /sys/fs/cgroup/$f ] && echo "$f $(cat /sys/fs/cgroup/$f)"
done
sort /sys/fs/cgroup/devices/devices.list 2>/dev/null
ls /sys/fs/cgroup

say network
ls /sys/class/net | sort
ip addr show lo 2>/dev/null | grep -e 'inet' -e 'state' | sed 's/^ *//'
ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1
echo "ping $?"

say processes
tr '\0' ' ' </proc/1/cmdline | head -n 1 | cut -c 1-20

say what may be done
try unshare -m true
try unshare -n true
try unshare -U true
try mount -t tmpfs none /tmp
try umount /tmp
try chroot / true
try hostname elsewhere
try mknod /tmp/null c 1 3
try mknod /tmp/disk b 254 0
try head -c 1 /tmp/disk
try head -c 0 /tmp/null
rm -f /tmp/null /tmp/disk
try linux32 uname -m
try dmesg -s 1
try nice -n -5 true
try chown 5 /tmp
try chown 0 /tmp
try ip link add probe0 type dummy
try swapoff /nowhere
try insmod /nowhere.ko
try pivot_root / /
try losetup -f
try nsenter -t 1 -m true
try ls /root
try touch /dev/shm/x
rm -f /dev/shm/x
try cat /proc/kmsg -n 0
try setsid true
try tty
stat -c '%n %a %u %g %F' / /dev /dev/shm /proc /sys /etc /tmp /dev/console 2>/dev/null
true
