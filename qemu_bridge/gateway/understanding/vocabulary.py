"""The words that are understood: a concept a row, with the words and phrases that mean it.

A plural, a verb's ``-s``, ``-ed`` and ``-ing`` and slips of the pen need no entry (`tokens`). To teach a word, write it in a row; what to make
of a concept is in `topics`.
"""

from __future__ import annotations

CONCEPTS: dict[str, str] = {
    "filler": "look like, looks like, in state, look up, in total, all in all, as of now, so far, at present, belonging to, that belong to, which belong to, would like, i like, i'd like, d like, we'd like, how about, at the moment, right now, in the guest, of the guest, each of the, state of affairs, take a look, have a look, have a look at, take a look at, for me, on the network, for sure, of course, by any chance, as well, in there, in here, in use by the guest, right away, each one of the, all of the, any of the, at all, i need, need to, want to, the list of, list of, a list of, contents of the table, stored, is stored, find out, figure out, work out, pull up, dig up, dig out, pid and name, pids and names, name and pid, names and pids, names of, name of, the name of, in question, as a table, as a list, in a table, in a list, in ram right now, on screen, on this machine, in this machine, of this machine, on the system, in detail, one by one, go ahead and, go ahead, if any, if possible, at this moment, at this time, at this point, up to now, until now, to date, will you, will you please, since boot, since startup, since it booted, since the boot, since boot time, since the machine started",
    # What to do.
    "show": "show, display, see, view, reveal, visualise, visualize, render, point out, point at, bring up, look at, inspect",
    "highlight": "highlight, illuminate, accentuate, outline, light up, mark, emphasise, emphasize, glow, hilight, hilite, highlite, colour in, stand out, select",
    "go": "go to, go, fly to, fly, jump to, jump, zoom to, zoom in on, zoom into, zoom on, zoom, navigate to, navigate, focus on, focus, take me to, take us to, bring me to, bring the camera to, bring the view to, bring us to, put the camera on, aim the camera at, aim at, move to, move the camera to, camera to, move camera to, point the camera at, center on, centre on, center the view on, centre the view on, center the camera on, center view on, travel to, frame, warp to, teleport to, steer to, move the view to, move me to, visit, bring me over to, take the camera to, pan to, camera on, head to, scroll to, head over to, centre the camera on, centre camera on",
    "where": "where, locate, location, whereabouts, find where, in which place, what address, which address, at what address, at which address, addresses of, at which physical address, at what physical address",
    "count": "how many, count, number of, total number of, how often, amount of processes",
    "size": "memory usage, memory footprint, memory consumption, memory use, usage, ram usage, ram use, rss, resident set size, consumption, resident memory, resident set, how heavy, how much, how big, how large, size, footprint, amount of, sum, total size, how much space, how much room, how many bytes, how many kilobytes, how many megabytes, how many mb, how many kb, how many mib, how many kib, memory consumed, how long is, resident size",
    "clear": "get rid of, rid of, clear, remove, unhighlight, reset, turn off, switch off, hide, drop, dehighlight, cancel",
    "identify": "who owns, owner of, owner, whose, identify, belong to, belong, own, lives at, live at, stored at, resides at, located at, sits at, is at, at address, what is behind, holds, is at offset, at offset, at location, is at location, is behind, what is in, is inside, sits behind, lies at, lie at, found at, is found at, held at, is held at, kept at, kept in, backs, backing, backed by, occupies address, maps to, mapped at, behind address, point to, points to, pointing to",
    "find": "find, scan, scan for, appear, occur, appears in, found in, search for, search, look for, grep for, grep, scan for, occurrences of, occurrence, contains the string, seek",
    "read": "cat, hexdump, hex dump, hex-dump, xxd, peek at, peek, examine, read, bytes, raw bytes, contents of memory, bytes at, content of memory, contents, content, hex-dump, hd, od, what bytes are, which bytes are, value of, value, values of",
    "dump": "dump",
    "translate": "translate, physical address, virtual address, resolve, virtual to physical, physical to virtual, v2p, virt to phys, va to pa, virtual addr, physical addr, phys addr, physical, virtual, phys, virt, guest physical, guest-physical, linear, va, pa, gpa, gva, kva, paddr, vaddr, convert, conversion",
    "compare": "compare, diff, difference between, difference, differences, differ, differ from, different, different from, what is different",
    "change": "change, changed, changes, modified, dirty, dirtied, written, touched, got written, new since, updated, altered, happened, happen, writes to",
    "capture": "capture, checkpoint, snapshot, save point, savepoint, saved state, restore point",
    "take": "take, make, create, save, write out, store, record, start recording",
    "pause": "pause, freeze, suspend, suspend execution, pause execution, halt execution, freeze execution, stop the cpus, stop the vcpus, stop the cpu, hold the vm, hold the machine, hold the guest, hold it",
    "resume": "resume execution, continue execution, resume, continue, unpause, unfreeze, thaw, go on, let it run, carry on, keep going, cont, wake up, wake it up, wake, start again, let it run again, let it go",
    "shutdown": "shut down, shutdown, power off, poweroff, turn off the machine, stop the machine, stop the vm, stop the guest, terminate, stop this machine, stop it, kill the machine, kill the vm, kill the guest, stop demo, end the machine, quit the machine, shut the machine down, shut the vm down, shut the guest down, shut it down, turn the machine off, turn the vm off, turn it off, switch the machine off, power it off",
    "stop": "stop, end, halt, disable, disarm, deactivate",
    "start": "start, begin, enable, arm, activate",
    "picture": "picture, screenshot, image, png, photo, snap, screen shot, screen capture, render a picture, screengrab",
    "draw": "draw, paint",
    "video": "video, film, movie, mp4, clip, screencast",
    "run": "execute, exec, run command, run the command",
    "open": "open",
    "about": "everything about, all about, details of, details on, details about, info on, info about, information on, information about, more about, tell about, tell me about, tell us about, facts about, describe, everything on, all on",
    # Things.
    "process": "process, proc, task, program, application, app, daemon, server, process table, process list, task list, process tree, pstree, task tree, service, ps, procs, processus, running programs, job, executable, pids, executing tasks, binary, running things, tree of processes, process hierarchy, hierarchy of processes, tree of tasks, what runs",
    "kernel_thread": "kernel thread, kthread, kernel threads, kernel worker, kworkers, kthreads",
    "thread": "thread, lwp",
    "file": "file, document, library, shared library, shared object, libraries, so file, lib, libs, shared lib, shared libs, dynamic library",
    "cache": "page cache, pagecache, file cache, cached file, cached files, disk cache, cache of files, buffer cache, files in memory, cached, files in ram, file pages, pages of files, files that are in memory, files cached in memory",
    "open_file": "open file, opened file, file descriptor, fd, fds, file handle, handle, descriptor, lsof, files open, open files, opened files, file descriptors",
    "socket": "socket, connection, network connection, netstat, network, networking, endpoint, internet connection, ss, talks, talking, speaks",
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
    "module": "module, driver, lkm, kernel module, loadable module, lsmod, kernel modules, kmod, device driver, loadable kernel module, modules in use",
    "loaded": "loaded, inserted, insmod",
    "slab": "slab, slab cache, slabs, kmem cache, slab allocator, slabinfo, object cache, slub, slabtop, kernel object cache",
    "object": "object, objects, allocation, instance",
    "mount": "mount, mounted, mount point, mountpoint, file system, filesystem, mounted file system, mounted filesystem, volume, df",
    "log": "dmesg, kernel log, kernel messages, kernel message, boot message, boot messages, boot log, printk, kernel ring buffer, ring buffer, klog, system log, log of the kernel, messages of the kernel, messages from the kernel, kernel output, log, syslog messages, logs, log message, messages, message, kernel log buffer, log buffer, log file of the kernel, kernel's log, messages log",
    "error": "error, errors, failure, failed, err",
    "warning": "warning, warnings, warn, complain, complained, complaints, grumble",
    "console": "console, serial console, console output, console log, terminal output, serial output, serial log, tty output, boot console",
    "stack_trace": "stack trace, backtrace, call stack, call trace, stacktrace, call chain, stack frames, stack frame, frames, kernel stack trace, bt, kernel backtrace, callstack, kernel call stack",
    "doing": "doing, blocked in, blocked on, sleeping in, waiting for, waiting on, stuck in, stuck, hanging, hung, waits for, blocked, up to, wait for, wait, hang, sleep in, waiting in, wchan, wait channel, wait channels",
    "symbol": "symbol, function, global variable, kernel function, kernel symbol, kallsyms, variable, routine, kallsyms lookup, kallsyms entry, sym, ksym",
    "address": "address, addr, addresses",
    "struct": "struct, structure, type, layout of struct, fields of struct, members of struct, offset of, offset, sizeof, fields, members, layout, definition, definition of, laid out, field, member, pahole",
    "status": "status, scheduling state, run state, process state, state of the machine, machine state, state of the guest, state of the vm, uptime, how long, up, which image, what image, image name, info about the machine, machine info, vm info, guest info, vcpus, cpus, number of cpus, how many cpus, how many vcpus, how many cores, ram size, size of ram, size of the ram, machine status, vm status, how is the machine, how is it going, healthy, runstate, powered on, paused, frozen, status of the machine, total memory, total ram, installed ram, installed memory, memory size, runs, is memory full, is the memory full, is ram full, out of memory, memory pressure, what state, which state, in what state, used memory, used ram, memory in use, ram in use, processors, number of processors, how many processors",
    "kernel_version": "kernel version, kernel release, version of the kernel, version of linux, linux version, uname, kaslr, kaslr offset, kaslr slide, build id, release of the kernel, os version, kernel build, kernel info, operating system, kernel base, kernel base address, base address of the kernel, base of the kernel, kernel load address, kernel slide, kernel offset, linux kernel version, linux kernel release, linux release, version of the linux kernel",
    "machines": "machines, guests, vms, all machines, virtual machines",
    "viewer": "viewer, viewer session, viewer window, window, viewers, open viewer, open viewers, viewer sessions, sessions, session, open window, open windows, windows",
    "table": "overlays, overlay, tables, which tables, kinds of tables",
    "target": "targets, target names",
    "help": "help, what can i ask, what can you do, examples, what can you answer, what do you understand, how does this work, what questions, usage help, what can i do here, what can i say, how do i use this, how do i use it, how to use this, what do you know, what can i know, which questions, what could i ask, what may i ask, what can you tell me, what can you tell, what can you show me, what can you do for me, what can you show",
    "event": "events, event stream, live events",
    "epoch": "epoch",
    "since": "since, after, from",
    "last": "last, tail, latest, most recent, newest, previous, recent, final, lately, recently, most recently, of late, latterly",
    "trace": "trace, tracing, tracer, execution trace, instruction trace, trace plugin, trace recording",
    "hot": "hot, hottest, hotspot, hot spot, most executed, most time, time is spent, is the time spent, time spent, spent, busiest code, hot code, hot functions, profile, where time goes, bottleneck, spends its time, spend time",
    "second": "second, seconds, secs, sec",
    # Memory.
    "memory": "memory, ram, mem, physical memory, guest memory, main memory",
    "use": "takes, taking, hold, holds, held, occupies, use, used, using, use up, using up, consume, occupy, take up, takes up, taking up, need, taken, allocated, hold, cost, costs",
    "hog": "eat, eat up, hog, hogging, hogger, consumer, gobble, gobble up, memory hog, memory eater, user of memory, users of memory, memory user, where did all my memory go, where did my memory go, where did all the memory go, where did the memory go, where does the memory go, where does all the memory go, where is all the memory, where has all the memory gone, where has the memory gone, memory consumption per process, memory usage per process, memory per process, memory use per process, memory of each process, memory use of each process, memory usage of each process, usage per process, ram per process, memory usage by process, memory by process, memory hungry, memory-hungry, ram hungry, memory intensive",
    "sort": "sorted by, sort by, ordered by, order by, ranked by, rank by, rank, in order of, sorted, sort, descending, by rss, by memory, by size, by memory usage, by memory use, by resident memory, by usage, by footprint, by how much memory they use",
    "frame": "page frame, frame number, page frame number, pfn, physical frame, physical page number, page number, maps frame, is frame, in frame, of frame, owns frame, at frame, to frame",
    "page": "page, pages, physical page, brick",
    "range": "range, ranges, physical ranges, physical range, extents",
    "map": "memory map, map, mapping, vma, address space, memory area, memory mapping, virtual memory, memory layout, segment, memory region, region, vmas, maps, virtual memory area, area, address map, mmap, mapped, memory maps, proc maps, address space layout, memory map layout, layout of the address space, address space map, virtual address space",
    "executable_map": "executable mapping, executable map, executable region, executable area, executable vma, executable segment, executable memory region, executable memory area, executable memory",
    "writable_map": "writable mapping, writable map, writable region, writable area, writable vma, writable segment, writable memory, writeable mapping, writeable region, writeable area, writable memory region, writable memory area",
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
    "free": "free, free memory, free page, unused memory, available memory, available, unused, free pages, free ram, buddy allocator, free list, unallocated, buddy, memory left, ram left, memory is left, ram is left",
    "zero": "zero page, zeroed page, zeroed, empty page, pages of zeros, all-zero pages, zeros, zero pages, pages full of zeros, zero filled, zero-filled",
    "untouched": "untouched, never touched, untouched memory, untouched pages, never used, never accessed",
    "reserved": "reserved, reserved memory, reserved pages",
    "shmem": "shmem, shared memory, tmpfs, shared memory pages, posix shared memory, shm, tmpfs pages",
    "huge": "huge page, hugepage, thp, transparent huge page, large page, hugetlb, huge",
    "ksm": "ksm, merged pages, deduplicated pages, same page merging",
    "shared": "shared memory between, memory shared between, shared pages between, shared memory of, shared by, shared between, shared, share, common to, in common, both map, both use, common, have in common, jointly mapped, overlap",
    "all": "all memory, all of memory, all ram, all of ram, entire memory, whole memory, everything, entire ram, whole ram, the whole machine, all of it",
    # How it is to be.
    "most": "most, biggest, largest, highest, top, greatest, hungriest, heaviest, max, maximum, fattest, more than any other, worst, big, hog of, large, bulkiest, lots of, a lot of, plenty of",
    "least": "least, smallest, fewest, lowest, minimum, min, tiniest",
    "oldest": "oldest, first started, longest running, longest-running, earliest",
    "newest": "youngest, most recently started, started last, started most recently, latest started, last started",
    "child": "child, children, child process, child processes, spawned by, started by, forked by, subprocess, subprocesses, descendants, descendant, kids, offspring, forks of, launched by",
    "parent": "parent, parent process, ppid, who started, who spawned, who forked, which started, father, mother, father process, who launched, what launched, what started, what spawned",
    "sleeping": "sleeping, asleep, sleep, interruptible",
    "runnable": "runnable, on cpu, on the cpu, on a cpu, currently executing, executing right now, running state, state r, scheduled right now, actively running, on the processor",
    "zombie": "zombie, defunct, dead process, undead",
    "idle": "idle, in idle",
    "uninterruptible": "uninterruptible, disk sleep, d state, state d, uninterruptible sleep, blocked on io, blocked on i/o, blocked in io, iowait, io wait, disk wait, waiting for io, waiting on io, waiting for disk, blocked on disk, waiting for i/o, waiting on i/o",
    "stopped": "stopped",
    "root": "root, superuser, as root, owned by root, user root",
    "user": "user, uid, user id, user ids, uids",
    "pid": "pid, process id, process number, process identifier, pid of, process ids, process numbers",
    "command_line": "command line, cmdline, argv, arguments, command-line, commandline, started with, parameters, was started with, invoked with",
    "running": "running, active, run, alive, executing",
    "and": "and, plus, as well as, along with, together with",
    "except": "except, without, but not, minus, excluding, other than, apart from, except for",
    "not": "not, no, never, don't, isn't, aren't, dont, none, neither, nor, doesn't, can't, cannot, won't, unless, didn't, wasn't, non",
    "like": "like, similar to, named like, matching, starting with, beginning with, containing, called, named, name, that start with, whose name contains, with the name, in their name, in its name, in the name, in their names",
    "colour": "colour, color, coloured, colored, colouring, coloring, paint by, colour mode, color mode, colour by, color by, colour memory by, color memory by, colour pages by, color pages by, colour everything by, color everything by, shade by",
    "set": "set, switch to, switch, change to, set to, turn on, switch on",
    "when": "when, at what time, since when, what time, start time, starting time",
    "why": "why",
    "mode_owner": "owner colours, by owner, by process, by owners",
    "mode_entropy": "entropy, randomness, compressibility",
    "mode_class": "by class, by type, page class, class, by kind",
    "mode_age": "age, by age",
    "mode_writes": "writes, by writes, write activity, write heat, recent writes, writes heat, heat of writes, dirty heat, heat map of writes",
    "mode_execution": "execution, by execution, executed blocks",
    "mode_bytes": "byte values, by byte, by bytes, by byte value, byte value",
}
"""Words and phrases by concept; of a phrase that begins like another the longer one counts."""

FILLERS = frozenset(
    """
    a an the this that these those of in on at for to by with from into onto over under inside within out off is are was were be been being am do does did
    has have had having can could would should teh hte lst wat wot u ur r pls plz gimme gonna wanna lemme waht wich thx ty yo between shall may might must i you he she it its we they me us my your our their them his her one ones
    please pls kindly just now right currently present presently today here there then so well ok okay hi hello hey dear thanks thank cheers tell give get
    let lets want wants wanted need like know see if whether what which who whom whose how list print report output name enumerate say fetch return
    provide some any all every each also too only really exactly actually quickly guest machine vm system box virtual computer os host
    moment time go happening exist exists existing existed present got gets getting kept belonging belongs owned various different around as or about against versus vs toward towards about
    information info details detail overview data stuff things thing something summary describe description explain explanation quick look question
    defined string phrase substring literal somewhere anywhere left aux state traffic activity still again total altogether overall
    available visible anything anyone anybody somebody someone everyone line lines entry entries row rows record records live lives living reside resides house housed
    available visible complete full entire whole single current respective related associated s re ve ll d m t via per using used uses use
    check checking verify sits sit protocol protocols together lookup keep keeps keeping everywhere wherever anywhere nearly almost hand simply briefly word words string strings phrases
    figure determine learn discover obtain retrieve pull collect gather query detect spot present presented tabulate itemise itemize statistics stats figures metrics numbers inventory
    already ever yet altogether specifically particular certain specific exact precise proper correct several multiple many itself themselves myself among amongst through throughout across
    folks guys mate buddy friend sir thereof therein whatever whichever instead basically maybe perhaps probably honestly real really truly however seem seems seemed believe's
    wonder wondering curious interested tool glassbox glass window's up come comes coming part parts kind kinds sort ask asking possible yes hmm um uh
    """.split()
)
"""Words that say nothing about what is wanted."""

REFUSED: dict[str, tuple[str, str, str]] = {
    "disassemble": (
        "disassemble, disassembly, disas, disasm, decompile, source code, source of, assembly",
        "code is not disassembled here, it is only found and shown",
        "highlight the kernel text",
    ),
    "end_process": (
        "kill, signal, renice, strace, ptrace, gdb, attach to",
        "nothing is done to a process of the guest from outside; a command can be run in the guest",
        "processes",
    ),
    "restart": (
        "restart, reboot, reset the machine, reset the vm, reset the guest, reset machine, power cycle",
        "a machine is not restarted by a question; stop it, then `glassbox start` it anew",
        "shut down the machine",
    ),
    "write": (
        "write, overwrite, poke, patch, inject, fill, modify, edit, corrupt",
        "the guest's memory is never written, only read",
        "",
    ),
    "malware": (
        "rootkit, malware, virus, backdoor, infected, compromised, trojan, hacked, suspicious, anomaly, anomalies, intrusion",
        "nobody judges here what is malicious; look at modules, sockets and processes",
        "loaded modules",
    ),
    "credentials": (
        "capabilities, capability, seccomp, selinux, apparmor, namespace, namespaces, cgroup, cgroups, privileges",
        "capabilities, namespaces and control groups are in no table; user ids are",
        "processes of root",
    ),
    "load": (
        "load average, load averages, loadavg, cpu load, system load, cpu usage, cpu utilisation, cpu utilization, cpu use, cpu, busiest cpu, most cpu, cpu-hungry, vmstat, iostat, mpstat, idle time, cpu hog, cpu hogs",
        "how busy processors and processes are is not measured; a trace counts what is executed",
        "which threads are runnable",
    ),
    "environment": (
        "environment, environment variable, env, envvars, environ, working directory, current directory, cwd, signal handler, ulimit, ulimits, limits",
        "environment, working directory, limits and signals of a process are in no table; its command line is",
        "processes",
    ),
    "swap": (
        "swap, swap usage, swap space, swapped, swapped out, swap file, swapfile, swap partition",
        "what is swapped out is not in RAM, and not shown; memory in RAM is",
        "memory hogs",
    ),
    "summary": (
        "overview, summary, summarise, summarize, breakdown, break down, broken down, kinds of pages, types of pages, page types, page classes, kinds of memory, memory types, by class of page, composition, break memory down, break the memory down, memory usage by class, memory usage by owner, memory usage by type, memory usage by kind, usage by class, usage by type, usage by owner, usage by kind",
        "memory is not summed up in one table; ask how much one kind has, or colour all of it",
        "how much memory does the kernel use",
    ),
    "view": (
        "reset the view, reset view, reset camera, reset the camera, zoom out, go back, undo, rotate, spin, tilt, default view, initial view, home view",
        "a view is turned and reset in its window, with the mouse and the key Home",
        "which viewers are open",
    ),
    "time": (
        "yesterday, tomorrow, will, an hour ago, minutes ago, seconds ago, minute ago, a minute ago, hours ago, last week, this morning, earlier today",
        "only now can be asked, and what differs from a capture",
        "what changed since the last checkpoint",
    ),
    "elsewhere": (
        "routes, routing table, firewall, iptables, interrupt, interrupts, irq, irqs, timer, timers, system call, system calls, syscall, syscalls, breakpoint, breakpoints, watchpoint, disk, disks, disk space, login, logins, logged in, packets, ip address, hostname, clock, date, locks, mutex, semaphore, hardware, devices, usb, pci",
        "that is in no table here",
        "which tables are there",
    ),
}
"""What people ask for and this product does not do, by concept: the words for it, a sentence that says so, and a question for the nearest that there is."""

COMMON_WORDS = frozenset(
    """
    heat load lock locks clock clocks block blocks hook hooks made mode modes sort sorts test tests host hosts hosting lost post
    stock stick stuck start state states static slack black back pack rack track tracks crack crash clash flash trash patch match catch watch
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
