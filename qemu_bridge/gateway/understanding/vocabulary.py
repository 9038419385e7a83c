"""The words that are understood: a concept a row, with the words and phrases that mean it.

A plural, a verb's ``-s``, ``-ed`` and ``-ing`` and slips of the pen need no entry (`tokens`). To teach a word, write it in a row; what to make
of a concept is in `topics`.
"""

from __future__ import annotations

CONCEPTS: dict[str, str] = {
    "filler": "look like, looks like, in state, look up, in total, all in all, as of now, so far, at present, belonging to, that belong to, which belong to, would like, i like, i'd like, d like, we'd like, how about, at the moment, right now, in the guest, of the guest, each of the",
    # What to do.
    "show": "show, display, see, view, reveal, visualise, visualize, render, point out, point at, bring up, look at, inspect",
    "highlight": "highlight, illuminate, accentuate, outline, light up, mark, emphasise, emphasize, glow, hilight, hilite, highlite, colour in, stand out, select",
    "go": "go to, go, fly to, fly, jump to, jump, zoom to, zoom in on, zoom into, zoom on, zoom, navigate to, navigate, focus on, focus, take me to, take us to, bring me to, bring the camera to, bring the view to, bring us to, put the camera on, aim the camera at, aim at, move to, move the camera to, camera to, move camera to, point the camera at, center on, centre on, center the view on, centre the view on, center the camera on, center view on, travel to, frame, warp to, teleport to, steer to, move the view to, move me to",
    "where": "where, locate, location, whereabouts, find where, in which place",
    "count": "how many, count, number of, total number of, how often, amount of processes",
    "size": "memory usage, memory footprint, memory consumption, memory use, usage, ram usage, ram use, rss, resident set size, consumption, resident memory, resident set, how heavy, how much, how big, how large, size, footprint, amount of, sum, total size, how much space, how much room",
    "clear": "get rid of, rid of, clear, remove, unhighlight, reset, turn off, switch off, hide, drop, dehighlight, cancel",
    "identify": "who owns, owner of, owner, whose, identify, belong to, belong, own, lives at, live at, stored at, resides at, located at, sits at, is at, at address, what is behind, holds",
    "find": "find, scan, scan for, appear, occur, appears in, found in, search for, search, look for, grep for, grep, scan for, occurrences of, occurrence, contains the string, seek",
    "read": "cat, hexdump, hex dump, hex-dump, xxd, peek at, peek, examine, read, bytes, raw bytes, contents of memory, bytes at, content of memory, contents, content",
    "dump": "dump",
    "translate": "translate, physical address, virtual address, resolve, virtual to physical, physical to virtual, v2p, virt to phys, va to pa, virtual addr, physical addr, phys addr",
    "compare": "compare, diff, difference between, difference, differences, differ, differ from, different, different from, what is different",
    "change": "change, changed, changes, modified, dirty, dirtied, written, touched, got written, new since, updated, altered, happened, happen, writes to",
    "capture": "capture, checkpoint, snapshot, save point, savepoint, saved state, restore point",
    "take": "take, make, create, save, write out, store, record, start recording",
    "pause": "pause, freeze, suspend, suspend execution, pause execution, halt execution, freeze execution, stop the cpus, stop the vcpus, stop the cpu, hold the vm, hold the machine, hold the guest, hold it",
    "resume": "resume execution, continue execution, resume, continue, unpause, unfreeze, thaw, go on, let it run, carry on, keep going, cont, wake up, wake it up, wake, start again, let it run again, let it go",
    "shutdown": "shut down, shutdown, power off, poweroff, turn off the machine, stop the machine, stop the vm, stop the guest, terminate, stop this machine, stop it, kill the machine, kill the vm, kill the guest, stop demo, end the machine, quit the machine",
    "stop": "stop, end, halt, disable, disarm, deactivate",
    "start": "start, begin, enable, arm, activate",
    "picture": "picture, screenshot, image, png, photo, snap, screen shot, screen capture, render a picture, screengrab",
    "draw": "draw, paint",
    "video": "video, film, movie, mp4, clip, screencast",
    "run": "execute, exec, run command, run the command",
    "open": "open",
    # Things.
    "process": "process, proc, task, program, application, app, daemon, server, process table, process list, task list, process tree, pstree, task tree, service, ps, procs, processus, running programs, job, executable, pids",
    "kernel_thread": "kernel thread, kthread, kernel threads, kernel worker, kworkers, kthreads",
    "thread": "thread, lwp",
    "file": "file, document, library, shared library, shared object, libraries, so file",
    "cache": "page cache, pagecache, file cache, cached file, cached files, disk cache, cache of files, buffer cache, files in memory, cached, files in ram, file pages, pages of files, files that are in memory, files cached in memory",
    "open_file": "open file, opened file, file descriptor, fd, fds, file handle, handle, descriptor, lsof, files open, open files, opened files, file descriptors",
    "socket": "socket, connection, network connection, netstat, network, networking, endpoint, internet connection, ss",
    "port": "port",
    "remote_port": "to port, remote port, towards port, foreign port, peer port",
    "listen": "listening, listen, listener, accepting connections, waiting for connections, bound, bound to port, bind to port, bound to, server socket",
    "established": "established, connected, active connection",
    "tcp": "tcp",
    "tcp6": "tcp6",
    "udp6": "udp6",
    "udp": "udp",
    "unix": "unix, unix domain, af_unix, uds",
    "netlink": "netlink",
    "raw_socket": "raw socket",
    "packet_socket": "packet socket",
    "module": "module, driver, lkm, kernel module, loadable module, lsmod, kernel modules, kmod, device driver, loadable kernel module",
    "loaded": "loaded, inserted, insmod",
    "slab": "slab, slab cache, slabs, kmem cache, slab allocator, slabinfo, object cache, slub, slabtop, kernel object cache",
    "object": "object, objects, allocation, instance",
    "mount": "mount, mounted, mount point, mountpoint, file system, filesystem, mounted file system, mounted filesystem, volume, df",
    "log": "dmesg, kernel log, kernel messages, kernel message, boot message, boot messages, boot log, printk, kernel ring buffer, ring buffer, klog, system log, log of the kernel, messages of the kernel, messages from the kernel, kernel output, log, syslog messages, logs, log message, messages, message",
    "error": "error, errors, failure, failed, err",
    "warning": "warning, warnings, warn",
    "console": "console, serial console, console output, console log, terminal output, serial output, serial log, tty output, boot console",
    "stack_trace": "stack trace, backtrace, call stack, call trace, stacktrace, call chain, stack frames, stack frame, frames, kernel stack trace, bt, kernel backtrace, callstack, kernel call stack",
    "doing": "doing, blocked in, blocked on, sleeping in, waiting for, waiting on, stuck in, stuck, hanging, hung, waits for, blocked, up to, wait for, wait, hang, sleep in, waiting in, wchan",
    "symbol": "symbol, function, global variable, kernel function, kernel symbol, kallsyms, variable, routine",
    "address": "address, addr, addresses",
    "struct": "struct, structure, type, layout of struct, fields of struct, members of struct, offset of, offset, sizeof, fields, members, layout, definition, definition of, laid out, field, member, pahole",
    "status": "status, state of the machine, machine state, state of the guest, state of the vm, uptime, how long, up, which image, what image, image name, info about the machine, machine info, vm info, guest info, vcpus, cpus, number of cpus, how many cpus, how many vcpus, how many cores, ram size, size of ram, size of the ram, machine status, vm status, how is the machine, how is it going, healthy, runstate, powered on, paused, frozen, status of the machine, total memory, total ram, installed ram, installed memory, memory size, amount of ram, amount of memory, how much ram, runs",
    "kernel_version": "kernel version, kernel release, version of the kernel, version of linux, linux version, uname, kaslr, kaslr offset, kaslr slide, build id, release of the kernel, os version, kernel build, kernel info, operating system",
    "machines": "machines, guests, vms, all machines, virtual machines",
    "viewer": "viewer, viewer session, viewer window, window, viewers, open viewer, open viewers, viewer sessions, sessions, session, open window, open windows, windows",
    "table": "overlays, overlay, tables, which tables, kinds of tables",
    "target": "targets, target names",
    "help": "help, what can i ask, what can you do, examples, what can you answer, what do you understand, how does this work, what questions, usage help, what can i do here, what can i say",
    "event": "events, event stream, live events",
    "epoch": "epoch",
    "since": "since, after, from",
    "last": "last, tail, latest, most recent, newest, previous, recent, final",
    "trace": "trace, tracing, tracer, execution trace, instruction trace, trace plugin, trace recording",
    "hot": "hot, hottest, hotspot, hot spot, most executed, most time, cpu time, time is spent, is the time spent, time spent, spent, busiest code, hot code, hot functions, profile, where time goes, bottleneck, spends its time, spend time",
    "second": "second, seconds, secs, sec",
    "cpu": "cpu time, processor",
    # Memory.
    "memory": "memory, ram, mem, physical memory, guest memory, main memory",
    "use": "takes, taking, hold, holds, held, occupies, use, used, using, use up, using up, consume, occupy, take up, takes up, taking up, need, taken, allocated, hold",
    "hog": "eat, eat up, hog, hogging, hogger, consumer, gobble, gobble up, memory hog, memory eater, user of memory, users of memory, memory user",
    "sort": "sorted by, sort by, ordered by, order by, ranked by, rank by, rank, in order of, sorted, sort, descending",
    "frame": "page frame, frame number, page frame number, pfn, physical frame, physical page number, page number",
    "page": "page, pages, physical page, brick",
    "range": "range, ranges, physical ranges, physical range, extents",
    "map": "memory map, map, mapping, vma, address space, memory area, memory mapping, virtual memory, memory layout, segment, memory region, region, vmas, maps, virtual memory area, area, address map, mmap, mapped, memory maps, proc maps",
    "heap": "heap, brk, malloc area, malloc heap, heap memory",
    "stack": "stack",
    "kernel_stack": "kernel stack, kernel mode stack, kstack, kernelstack, in-kernel stack, kernel-stack",
    "user_stack": "user stack, process stack, userspace stack, user mode stack, user space stack",
    "text": "text, code, text segment, code segment, machine code, executable code, text section, instructions, code pages, program text, executable pages, program code, .text",
    "page_table": "page table, pagetable, page directory, pgd, pml4, pte, page-table, paging structure, pagetables, mmu table, pud, pmd, translation table, paging table",
    "anonymous": "anonymous, anon, anonymous memory, anonymous pages, anon memory, anonymous mapping, anon pages",
    "mapped_file": "mapped file, file mapping, memory mapped file, file-backed, file backed, memory-mapped file, mmaped file, mmapped file, mapped library, mmapped files, file backed memory, file-backed memory, file-backed pages, mapped libraries, mapped files",
    "kernel": "kernel, linux, linux kernel, kernel image, vmlinux, kernel memory, kernelspace, kernel space",
    "kernel_data": "kernel data, .data, kernel data section, kernel data segment",
    "rodata": "rodata, read-only data, readonly data, read only data, .rodata, kernel rodata, kernel read-only data, constants",
    "bss": "bss, .bss, kernel bss",
    "init_section": "init section, init code, kernel init, init text, boot code, kernel init section, kernel init memory, init sections, initialisation code, initialization code",
    "percpu": "per-cpu, percpu, per cpu, per-cpu data, per cpu data, percpu area, per-cpu area, per cpu area, per-cpu variables, per cpu variables, per cpu memory, percpu data, percpu variables",
    "memmap": "memmap, struct page, struct pages, page structs, mem_map, vmemmap, page array, struct page array",
    "vmalloc": "vmalloc, vmalloc area, vmalloc memory, vmalloced memory",
    "free": "free, free memory, free page, unused memory, available memory, available, unused, free pages, free ram, buddy allocator, free list, unallocated, buddy",
    "zero": "zero page, zeroed page, zeroed, empty page, pages of zeros, all-zero pages, zeros, zero pages, pages full of zeros, zero filled, zero-filled",
    "untouched": "untouched, never touched, untouched memory, untouched pages, never used, never accessed",
    "reserved": "reserved, reserved memory, reserved pages",
    "shmem": "shmem, shared memory, tmpfs, shared memory pages, posix shared memory, shm, tmpfs pages",
    "huge": "huge page, hugepage, thp, transparent huge page, large page, hugetlb",
    "ksm": "ksm, merged pages, deduplicated pages, same page merging",
    "shared": "shared memory between, memory shared between, shared pages between, shared memory of, shared by, shared between, shared, share, common to, in common, both map, both use, common, have in common, jointly mapped, overlap",
    "all": "all memory, all of memory, all ram, all of ram, entire memory, whole memory, everything, entire ram, whole ram, the whole machine, all of it",
    # How it is to be.
    "most": "most, biggest, largest, highest, top, greatest, hungriest, heaviest, max, maximum, fattest, more than any other, worst, big, hog of, large, bulkiest",
    "least": "least, smallest, fewest, lowest, minimum, min, tiniest",
    "oldest": "oldest, first started, longest running, longest-running, earliest",
    "newest": "youngest, most recently started, started last, started most recently, latest started, last started",
    "child": "child, children, child process, child processes, spawned by, started by, forked by, subprocess, subprocesses, descendants, descendant, kids, offspring, forks of",
    "parent": "parent, parent process, ppid, who started, who spawned, who forked, which started",
    "sleeping": "sleeping, asleep, sleep, interruptible",
    "runnable": "runnable, on cpu, on the cpu, on a cpu, currently executing, executing right now, running state, state r, scheduled right now, actively running, on the processor",
    "zombie": "zombie, defunct, dead process, undead",
    "idle": "idle, in idle",
    "uninterruptible": "uninterruptible, disk sleep, d state, state d, uninterruptible sleep",
    "stopped": "stopped",
    "root": "root, superuser, as root, owned by root, user root",
    "user": "user, uid, user id",
    "pid": "pid, process id, process number, process identifier, pid of",
    "command_line": "command line, cmdline, argv, arguments, command-line, commandline, started with",
    "running": "running, active, run, alive",
    "and": "and, plus, as well as, along with, together with",
    "except": "except, without, but not, minus, excluding, other than, apart from, except for",
    "not": "not, no, never, don't, isn't, aren't, dont, none, neither, nor, doesn't, can't, cannot, won't, unless, didn't, wasn't, non",
    "like": "like, similar to, named like, matching, starting with, beginning with, containing, called, named, name, that start with, whose name contains, with the name",
    "colour": "colour, color, coloured, colored, colouring, coloring, paint by, colour mode, color mode, colour by, color by, colour memory by, color memory by, colour pages by, color pages by, colour everything by, color everything by, shade by",
    "set": "set, switch to, switch, change to, set to",
    "why": "why",
    "mode_owner": "owner colours, by owner, by process",
    "mode_entropy": "entropy, randomness, compressibility",
    "mode_class": "by class, by type, page class, class, by kind",
    "mode_age": "age, by age",
    "mode_writes": "writes, by writes, write activity, write heat, recent writes",
    "mode_execution": "execution, by execution, executed blocks",
    "mode_bytes": "byte values, by byte, by bytes, by byte value, byte value",
}
"""Words and phrases by concept; of a phrase that begins like another the longer one counts."""

FILLERS = frozenset(
    """
    a an the this that these those of in on at for to by with from into onto over under inside within out off is are was were be been being am do does did
    has have had having can could would should will teh hte lst wat wot u ur r pls plz gimme gonna wanna lemme waht wich thx ty yo between shall may might must i you he she it its we they me us my your our their them his her one ones
    please pls kindly just now right currently present presently today here there then so well ok okay hi hello hey dear thanks thank cheers tell give get
    let lets want wants wanted need like know see if whether what which who whom whose how list print report output name enumerate say fetch return
    provide some any all every each also too only really exactly actually quickly guest machine vm system box virtual computer os host
    moment time go happening exist exists existing existed present got gets getting kept belonging belongs owned various different around as or about against versus vs toward towards about
    information info details detail overview data stuff things thing something summary describe description explain explanation quick look question
    defined string phrase substring literal somewhere anywhere left aux state traffic activity still again total altogether overall
    available visible anything anyone anybody somebody someone everyone line lines entry entries row rows record records live lives living reside resides house housed
    available visible complete full entire whole single current respective related associated s re ve ll d m t via per using used uses use
    wonder wondering curious interested tool glassbox glass window's up come comes coming part parts kind kinds sort ask asking possible yes hmm um uh
    """.split()
)
"""Words that say nothing about what is wanted."""

COMMON_WORDS = frozenset(
    """
    heat load lock locks clock clocks block blocks hook hooks made mode modes word words sort sorts test tests host hosts hosting lost post
    stock stick stuck start state states stats static slack black back pack rack track tracks crack crash clash flash trash patch match catch watch
    light night might sight fight right tight delete deleted kill killed killing hide hidden inject injected poke write writes writing rewrite
    rename reboot restart restarted reload install uninstall upgrade update fork signal send attach detach debug break breakpoint
    breakpoints step steps password passwords secret secrets key keys user users login logins weather joke poem song story money lunch dinner pizza
    tomorrow yesterday why when because date clean cleaner clear faster fast slow slower speed temperature disk disks drive drives
    battery keyboard mouse monitor printer email mail web page's browser dog dogs sky blue green red life love time times
    packet packets route routes routing table's firewall interrupt interrupts irq irqs timer timers swap swapped swapping cgroup cgroups
    container containers namespace namespaces semaphore mutex deadlock leak leaks leaking leaked corruption corrupted overflow malware rootkit virus
    hacked attacker exploit vulnerable vulnerability safe secure security bug bugs wrong broken good bad better best nice cool stupid hack sense
    meaning mean means colours think feel believe speak sing dance eat drink sleep walk drive price cost buy sell country city capital president king queen
    """.split()
)
"""Words that are right as they are, and mean nothing here: they are no slips for others."""
