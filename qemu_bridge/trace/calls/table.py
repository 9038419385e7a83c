"""Linux's system calls on x86: their numbers, and what their arguments are.

>>> call_of(Gate.SYSCALL, 257)
Call(name='openat', kinds='Dsnm')
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tcg_plugin.layout import MAX_CALLS, TEXT_OF_LENGTH, Gate

ARGUMENTS = 6
X32 = 1 << 30
"""Set in the numbers of programs of 64 bits with pointers of 32 (x32)."""

_OF_64_BITS = """
0:read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask
rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield mremap msync mincore madvise shmget
shmat shmctl dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile socket connect accept sendto
recvfrom sendmsg recvmsg shutdown bind listen getsockname getpeername socketpair setsockopt getsockopt clone fork
vfork execve exit wait4 kill uname semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl flock fsync fdatasync
truncate ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink readlink chmod fchmod
chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times ptrace getuid syslog getgid setuid setgid
geteuid getegid setpgid getppid getpgrp setsid setreuid setregid getgroups setgroups setresuid getresuid setresgid
getresgid getpgid setfsuid setfsgid getsid capget capset rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend
sigaltstack utime mknod uselib personality ustat statfs fstatfs sysfs getpriority setpriority sched_setparam
sched_getparam sched_setscheduler sched_getscheduler sched_get_priority_max sched_get_priority_min
sched_rr_get_interval mlock munlock mlockall munlockall vhangup modify_ldt pivot_root _sysctl prctl arch_prctl
adjtimex setrlimit chroot sync acct settimeofday mount umount2 swapon swapoff reboot sethostname setdomainname iopl
ioperm create_module init_module delete_module get_kernel_syms query_module quotactl nfsservctl getpmsg putpmsg
afs_syscall tuxcall security gettid readahead setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr
llistxattr flistxattr removexattr lremovexattr fremovexattr tkill time futex sched_setaffinity sched_getaffinity
set_thread_area io_setup io_destroy io_getevents io_submit io_cancel get_thread_area lookup_dcookie epoll_create
epoll_ctl_old epoll_wait_old remap_file_pages getdents64 set_tid_address restart_syscall semtimedop fadvise64
timer_create timer_settime timer_gettime timer_getoverrun timer_delete clock_settime clock_gettime clock_getres
clock_nanosleep exit_group epoll_wait epoll_ctl tgkill utimes vserver mbind set_mempolicy get_mempolicy mq_open
mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr kexec_load waitid add_key request_key keyctl
ioprio_set ioprio_get inotify_init inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat mknodat fchownat
futimesat newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll unshare
set_robust_list get_robust_list splice tee sync_file_range vmsplice move_pages utimensat epoll_pwait signalfd
timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4 signalfd4 eventfd2 epoll_create1 dup3 pipe2
inotify_init1 preadv pwritev rt_tgsigqueueinfo perf_event_open recvmmsg fanotify_init fanotify_mark prlimit64
name_to_handle_at open_by_handle_at clock_adjtime syncfs sendmmsg setns getcpu process_vm_readv process_vm_writev
kcmp finit_module sched_setattr sched_getattr renameat2 seccomp getrandom memfd_create kexec_file_load bpf execveat
userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx
io_pgetevents rseq 424:pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen
fsconfig fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise epoll_pwait2
mount_setattr quotactl_fd landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret
process_mrelease futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait
futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat
listxattrat removexattrat
"""
"""Names by number. A number stands before a name that does not have the next one."""

_OF_32_BITS = """
0:restart_syscall exit fork read write open close waitpid creat link unlink execve chdir time mknod chmod lchown
break oldstat lseek getpid mount umount setuid getuid stime ptrace alarm oldfstat pause utime stty gtty access nice
ftime sync kill rename mkdir rmdir dup pipe times prof brk setgid getgid signal geteuid getegid acct umount2 lock
ioctl fcntl mpx setpgid ulimit oldolduname umask chroot ustat dup2 getppid getpgrp setsid sigaction sgetmask
ssetmask setreuid setregid sigsuspend sigpending sethostname setrlimit getrlimit getrusage gettimeofday settimeofday
getgroups setgroups select symlink oldlstat readlink uselib swapon reboot readdir mmap munmap truncate ftruncate
fchmod fchown getpriority setpriority profil statfs fstatfs ioperm socketcall syslog setitimer getitimer stat lstat
fstat olduname iopl vhangup idle vm86old wait4 swapoff sysinfo ipc fsync sigreturn clone setdomainname uname
modify_ldt adjtimex mprotect sigprocmask create_module init_module delete_module get_kernel_syms quotactl getpgid
fchdir bdflush sysfs personality afs_syscall setfsuid setfsgid _llseek getdents _newselect flock msync readv writev
getsid fdatasync _sysctl mlock munlock mlockall munlockall sched_setparam sched_getparam sched_setscheduler
sched_getscheduler sched_yield sched_get_priority_max sched_get_priority_min sched_rr_get_interval nanosleep mremap
setresuid getresuid vm86 query_module poll nfsservctl setresgid getresgid prctl rt_sigreturn rt_sigaction
rt_sigprocmask rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend pread64 pwrite64 chown getcwd capget
capset sigaltstack sendfile getpmsg putpmsg vfork ugetrlimit mmap2 truncate64 ftruncate64 stat64 lstat64 fstat64
lchown32 getuid32 getgid32 geteuid32 getegid32 setreuid32 setregid32 getgroups32 setgroups32 fchown32 setresuid32
getresuid32 setresgid32 getresgid32 chown32 setuid32 setgid32 setfsuid32 setfsgid32 pivot_root mincore madvise
getdents64 fcntl64 224:gettid readahead setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr
llistxattr flistxattr removexattr lremovexattr fremovexattr tkill sendfile64 futex sched_setaffinity
sched_getaffinity set_thread_area get_thread_area io_setup io_destroy io_getevents io_submit io_cancel fadvise64
252:exit_group lookup_dcookie epoll_create epoll_ctl epoll_wait remap_file_pages set_tid_address timer_create
timer_settime timer_gettime timer_getoverrun timer_delete clock_settime clock_gettime clock_getres clock_nanosleep
statfs64 fstatfs64 tgkill utimes fadvise64_64 vserver mbind get_mempolicy set_mempolicy mq_open mq_unlink
mq_timedsend mq_timedreceive mq_notify mq_getsetattr kexec_load waitid 286:add_key request_key keyctl ioprio_set
ioprio_get inotify_init inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat mknodat fchownat futimesat
fstatat64 unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll unshare set_robust_list
get_robust_list splice sync_file_range tee vmsplice move_pages getcpu epoll_pwait utimensat signalfd timerfd_create
eventfd fallocate timerfd_settime timerfd_gettime signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv
pwritev rt_tgsigqueueinfo perf_event_open recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at
open_by_handle_at clock_adjtime syncfs sendmmsg setns process_vm_readv process_vm_writev kcmp finit_module
sched_setattr sched_getattr renameat2 seccomp getrandom memfd_create bpf execveat socket socketpair bind connect
listen accept4 getsockopt setsockopt getsockname getpeername sendto sendmsg recvfrom recvmsg shutdown userfaultfd
membarrier mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx arch_prctl io_pgetevents
rseq 393:semget semctl shmget shmctl shmat shmdt msgget msgsnd msgrcv msgctl clock_gettime64 clock_settime64
clock_adjtime64 clock_getres_time64 clock_nanosleep_time64 timer_gettime64 timer_settime64 timerfd_gettime64
timerfd_settime64 utimensat_time64 pselect6_time64 ppoll_time64 416:io_pgetevents_time64 recvmmsg_time64
mq_timedsend_time64 mq_timedreceive_time64 semtimedop_time64 rt_sigtimedwait_time64 futex_time64
sched_rr_get_interval_time64 pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount
fsopen fsconfig fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise
epoll_pwait2 mount_setattr quotactl_fd landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret
process_mrelease futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait
futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat
listxattrat removexattrat
"""

_KINDS = """
_llseek:fuupw _newselect:dpppp accept:fpp accept4:fppx access:sA acct:s add_key:sspud adjtimex:p alarm:u
arch_prctl:xp bind:fpu bpf:dpu brk:p cachestat:fppx capget:pp capset:pp chdir:s chmod:sm chown:sdd chroot:s
clock_adjtime:dp clock_getres:dp clock_gettime:dp clock_nanosleep:dxpp clock_settime:dp clone:Kpppp clone3:pu
close:f close_range:ffx connect:fpu copy_file_range:fpfpux creat:sm delete_module:sx dup:f dup2:ff dup3:ffe
epoll_create:d epoll_create1:e epoll_ctl:fdfp epoll_pwait:fpddp epoll_pwait2:fpdpp epoll_wait:fpdd eventfd:u
eventfd2:ue execve:spp execveat:DsppT exit:d exit_group:d faccessat:DsA faccessat2:DsAE fadvise64:fdud
fadvise64_64:fuuuud fallocate:fxuu fanotify_init:xx fanotify_mark:fxxDs fchdir:f fchmod:fm fchmodat:Dsm
fchmodat2:DsmT fchown:fdd fchownat:DsddT fcntl:fFp fcntl64:fFp fdatasync:f fgetxattr:fspu finit_module:fsx
flistxattr:fpu flock:fd fork:- fremovexattr:fs fsconfig:fuspd fsetxattr:fspux fsmount:fxx fsopen:sx fspick:Dsx
fstat:fp fstat64:fp fstatat64:DspT fstatfs:fp fstatfs64:fup fsync:f ftruncate:fu ftruncate64:fuu futex:pUdppx
futex_requeue:pxdd futex_wait:pxxxpd futex_waitv:puxpd futex_wake:pxdx futimesat:Dsp get_mempolicy:ppupx
get_robust_list:dpp get_thread_area:p getcpu:ppp getcwd:pu getdents:fpu getdents64:fpu getegid:- geteuid:- getgid:-
getgroups:dp getitimer:dp getpeername:fpp getpgid:d getpgrp:- getpid:- getppid:- getpriority:dd getrandom:pux
getresgid:ppp getresuid:ppp getrlimit:dp getrusage:dp getsid:d getsockname:fpp getsockopt:fddpp gettid:-
gettimeofday:pp getuid:- getxattr:sspu init_module:pus inotify_add_watch:fsx inotify_init:- inotify_init1:e
inotify_rm_watch:fd io_cancel:ppp io_destroy:p io_getevents:pddpp io_pgetevents:pddppp io_setup:up io_submit:pdp
io_uring_enter:fuuxpu io_uring_register:fupu io_uring_setup:up ioctl:fxp ioperm:uud iopl:d ioprio_get:dd
ioprio_set:ddx ipc:duuupu kcmp:ddddd kexec_file_load:ffusx kexec_load:pupx keyctl:dpppp kill:dS
landlock_add_rule:fdpx landlock_create_ruleset:pux landlock_restrict_self:fx lchown:sdd lgetxattr:sspu link:ss
linkat:DsDsT listen:fd listxattr:spu llistxattr:spu lremovexattr:ss lseek:fdw lsetxattr:sspux lstat:sp lstat64:sp
madvise:pud map_shadow_stack:pux mbind:pudpux membarrier:dxd memfd_create:sx memfd_secret:x migrate_pages:dupp
mincore:pup mkdir:sm mkdirat:Dsm mknod:smx mknodat:Dsmx mlock:pu mlock2:pux mlockall:x mmap:puPMfx mmap2:puPMfu
modify_ldt:dpu mount:sssxp mount_setattr:DsTpu move_mount:DsDsx move_pages:duppp mprotect:puP mq_getsetattr:fpp
mq_notify:fp mq_open:snmp mq_timedreceive:fpupp mq_timedsend:fpuup mq_unlink:s mremap:puuxp mseal:pux msgctl:ddp
msgget:dx msgrcv:dpudx msgsnd:dpud msync:pux munlock:pu munlockall:- munmap:pu name_to_handle_at:DsppT nanosleep:pp
newfstatat:DspT nice:d open:snm open_by_handle_at:fpn open_tree:Dsx openat:Dsnm openat2:Dspu pause:-
perf_event_open:pdddx personality:x pidfd_getfd:ffx pidfd_open:dx pidfd_send_signal:fSpx pipe:p pipe2:pe
pivot_root:ss pkey_alloc:xx pkey_free:d pkey_mprotect:puPd poll:pud ppoll:pupp prctl:dxxxx pread64:fpuu preadv:fpuu
preadv2:fpuuux prlimit64:ddpp process_madvise:fpudx process_mrelease:fx process_vm_readv:dpupux
process_vm_writev:dpupux pselect6:dppppp ptrace:ddpp pwrite64:fbuu pwritev:fpuu pwritev2:fpuuux quotactl:xsdp
quotactl_fd:fxdp read:fpu readahead:fdu readlink:spu readlinkat:Dspu readv:fpu reboot:xxxp recvfrom:fpuxpp
recvmmsg:fpuxp recvmsg:fpx remap_file_pages:pudux removexattr:ss rename:ss renameat:DsDs renameat2:DsDsx
request_key:sssd restart_syscall:- rmdir:s rseq:puxx rt_sigaction:Sppu rt_sigpending:pu rt_sigprocmask:Hppu
rt_sigqueueinfo:dSp rt_sigreturn:- rt_sigsuspend:pu rt_sigtimedwait:pppu rt_tgsigqueueinfo:ddSp
sched_get_priority_max:d sched_get_priority_min:d sched_getaffinity:dup sched_getattr:dpux sched_getparam:dp
sched_getscheduler:d sched_rr_get_interval:dp sched_setaffinity:dup sched_setattr:dpx sched_setparam:dp
sched_setscheduler:ddp sched_yield:- seccomp:dxp select:dpppp semctl:dddp semget:ddx semop:dpu semtimedop:dpup
sendfile:ffpu sendfile64:ffpu sendmmsg:fpux sendmsg:fpx sendto:fbuxpu set_mempolicy:dpu set_mempolicy_home_node:puux
set_robust_list:pu set_thread_area:p set_tid_address:p setdomainname:pu setfsgid:d setfsuid:d setgid:d setgroups:dp
sethostname:pu setitimer:dpp setns:fK setpgid:dd setpriority:ddd setregid:dd setresgid:ddd setresuid:ddd setreuid:dd
setrlimit:dp setsid:- setsockopt:fddpu settimeofday:pp setuid:d setxattr:sspux shmat:dpx shmctl:ddp shmdt:p
shmget:dux shutdown:fd sigaction:Spp sigaltstack:pp signal:Sp signalfd:fpu signalfd4:fpue sigpending:p
sigprocmask:Hpp sigreturn:- sigsuspend:p socket:Ndd socketcall:dp socketpair:Nddp splice:fpfpux ssetmask:x stat:sp
stat64:sp statfs:sp statfs64:sup statx:DsTxp stime:p swapoff:s swapon:sx symlink:ss symlinkat:sDs sync:-
sync_file_range:fdux syncfs:f sysfs:dpp sysinfo:p syslog:dpd tee:ffux tgkill:ddS time:p timer_create:dpp
timer_delete:d timer_getoverrun:d timer_gettime:dp timer_settime:dxpp timerfd_create:dx timerfd_gettime:fp
timerfd_settime:fxpp times:p tkill:dS truncate:su truncate64:suu ugetrlimit:dp umask:m umount:s umount2:sx uname:p
unlink:s unlinkat:DsR unshare:K uselib:s userfaultfd:x ustat:xp utime:sp utimensat:DspT utimes:sp vfork:- vhangup:-
vmsplice:fpux wait4:dpdp waitid:ddpdp waitpid:dpd write:fbu writev:fpu
"""
"""A letter for each argument; what it means says `Call.kinds`. A name ending in 32, 64 or _time64 has the kinds of the name without, unless it is here."""

_SUFFIXES = ("_time64", "64", "32")


@dataclass(frozen=True, slots=True)
class Call:
    """A system call.

    Attributes:
        name: as the kernel has it.
        kinds: a letter for each argument. f: descriptor, D: descriptor of a folder, s: text, b: bytes (the next argument says how
            many), p and x: address or bits in hex, d: signed number, u: number, m: mode in octal, S: signal; all others are of
            `constants`.
    """

    name: str
    kinds: str


@cache
def _calls(is_64: bool) -> dict[int, Call]:
    kinds = dict(word.split(":") for word in _KINDS.split())
    found, number = {}, 0
    for word in (_OF_64_BITS if is_64 else _OF_32_BITS).split():
        start, _, name = word.rpartition(":")
        number = int(start) if start else number
        found[number] = Call(name, _kinds_of(name, kinds))
        number += 1
    return found


def _kinds_of(name: str, kinds: dict[str, str]) -> str:
    forms = (name, *(name.removesuffix(suffix) for suffix in _SUFFIXES))
    return next((kinds[form].strip("-") for form in forms if form in kinds), "x" * ARGUMENTS)


def call_of(gate: int, number: int) -> Call:
    """The system call `number` of a program that entered the kernel by `gate`; one called ``syscall_NUMBER`` if it is not known."""
    plain = number & ~X32 if gate == Gate.SYSCALL else number
    return _calls(gate == Gate.SYSCALL).get(plain) or Call(f"syscall_{number:#x}", "x" * ARGUMENTS)


@cache
def text_arguments(is_64: bool) -> bytes:
    """For `Control.texts`, of programs of 64 or 32 bits: which arguments of each call are texts."""
    table = bytearray(MAX_CALLS)
    for number, call in _calls(is_64).items():
        table[number] = sum(1 << place for place, kind in enumerate(call.kinds) if kind == "s")
        table[number] |= TEXT_OF_LENGTH if "b" in call.kinds else 0
    return bytes(table)
