"""The words that are understood: a concept a row, with the words and phrases that mean it.

A plural, a verb's ``-s``, ``-ed`` and ``-ing`` and slips of the pen need no entry (`tokens`). To teach a word, write it in a row; what to make
of a concept is in `topics`.
"""

from __future__ import annotations

CONCEPTS: dict[str, str] = {
    "filler": "to the folder, to the directory, virtual machine, the virtual machine, this virtual machine, in a folder, in the folder, into a folder, into the folder, to a folder, in a directory, in the directory, into a directory, to a directory, starting at, starting from, beginning at, beginning from, with path, with the path, at path, the path, how called is, how called, ok next, okay next, one more thing, sorry one more, how do i, how can i, how could i, how would i, how do you, how can you, how to, how do we, how can we, nothing else, look up, if there might be, id like to, id like, id love to, i'd be glad, im looking for, i'm looking for, what a nice tool, what a great tool, nice tool, great tool, behind them, behind it, behind that, behind those, at the back of it, in all places, all places, every place, places, spots, all spots, in use at present, as usual, like usual, if there is any, if there are any, if there is one, as a whole, all together, one last time, in the meantime, once more, one more time, any more, for the slides, for my slides, for the presentation, for the lecture, for the meeting, for my boss, for my students, for the students, for the documentation, for the docs, for the talk, for my talk, for the paper, for the article, for the blog, for the class, in a moment, in a second, one more question, another question, quick question, short question, last question, final question, simple question, dumb question, stupid question, do the needful, do the needful to, is it just me or, what's the deal with, whats the deal with, what is the deal with, what's up with, whats up with, what is up with, tell me more, for the love of god, on earth, the hell, the heck, in hell, in the world, to be honest, to tell the truth, long story short, that is to say, so to speak, at your convenience, at your leisure, if it's not a problem, if it is not a problem, no rush, no hurry, when you have time, when you get a chance, i've been told, i was told, they told me, i believe, i think, i guess, i suppose, i assume, rumour has it, i heard, i read, i have heard, someone said, starting from, beginning from, of type, something like, something such as, sort of, kind of, any idea, have you any idea, do you know, do you happen to know, no idea, is it possible to, is it possible, would it be possible to, i am curious, i'm curious, be curious to know, curious to know, i would love to, i'd love to, d love to, love to see, i am looking for, i am interested in, interested in, what about, how about, and also, as far as you know, in your opinion, on the whole, in general, in particular, for example, for instance, at once, just in case, to be precise, to be exact, if i may, if you please, if you would, when possible, do you have, is there a way to, is there any way to, a way to, help me, help me to, help me find, help me see, i have to, i got to, i gotta, i must, i should, we should, we need to, we want to, give me a look at, get me, hand me, show me around, one more thing, one last thing, last but not least, first of all, to begin with, to start with, right this moment, this very moment, as we speak, out of curiosity, for my homework, for my thesis, for my report, for the report, for an investigation, for the record, in this guest, in that guest, in this vm, inside this vm, inside the guest, inside the machine, of this guest, on this guest, of this vm, on this box, on that box, of that box, from the guest, from this machine, this guest's, in here right now, around here, over there, over here, or did it die, or is it dead, or dead, or did it crash, or has it died, or did it stop, in good shape, have a peek, take a peek, sorry to bother you, good morning, good evening, good afternoon, good day, by the way, any chance, is there any chance, any chance you could, i was wondering, i wonder, would you mind, if you don't mind, if you dont mind, if it is not too much trouble, so kind as to, kind enough to, be so kind, would be great, would be nice, that would be, real quick, thanks in advance, thank you in advance, many thanks, if you can, if you could, when you can, do me a favour, do me a favor, could you do me, excuse me, pardon me, my boss wants to know, my colleague asks, look like, looks like, in total, all in all, as of now, so far, at present, would like, i like, i'd like, d like, we'd like, at the moment, right now, in the guest, of the guest, each of the, state of affairs, take a look, have a look, have a look at, take a look at, for me, for sure, of course, by any chance, as well, in there, in here, in use by the guest, right away, each one of the, all of the, any of the, at all, i need, need to, want to, the list of, list of, a list of, contents of the table, stored, is stored, find out, figure out, work out, pull up, dig up, dig out, pid and name, pids and names, name and pid, names and pids, names of, name of, the name of, in question, as a table, as a list, in a table, in a list, in ram right now, on screen, on this machine, in this machine, of this machine, on the system, in detail, one by one, go ahead and, go ahead, if any, if possible, at this moment, at this time, at this point, up to now, until now, to date, will you, will you please, see if, check if, tell me if, let me know if, know if, find out if, show me if, verify if, wonder if, wondering if, look if, say if, determine if, ask if, sure if, a bit, a little bit, a little, very much, so much, thank you very much, thanks a lot, a lot, how do i find, how do i see, how do i get, how do i list, how do i show, how can i find, how can i see, how can i get, how can i list, how can i show, how could i find, how could i see, how would i find, how would i see, how to find, how to see, how to list, how to show, how to get, and so on, etc, or so, or something, or what, or whatever, or not, at the end of the day, once again, do you mind, in my case, in this case, in that case, in state",
    # What to do.
    "show": "pls show, do show, kindly show, present to me, pop up, expose, uncover, illustrate, demonstrate, depict, plot, make visible, let me see, lemme see, let us see, have me see, put on screen, show, display, see, view, reveal, visualise, visualize, render, point out, point at, bring up, look at, inspect",
    "highlight": "hl, make bright, bright, let shine, tint, spotlight, flag, brighten, circle, mark up, mark out, shine on, put a glow on, let glow, make glow, make it glow, show up in colour, tag, highlight, illuminate, accentuate, outline, light up, mark, emphasise, emphasize, glow, hilight, hilite, highlite, colour in, stand out, select",
    "go": "fly the camera over to, move the camera over to, bring the camera over to, take the camera over to, fly the camera to, fly camera to, send the camera to, send the camera over to, cam to, camera on to, go back to, back to, return to, come back to, get back to, goto, go over to, zoom in to, zoom in at, zoom in, zoom onto, zoom in onto, hop to, jump over to, guide me to, lead me to, get me to, carry me to, turn to, fly me to, fly me over to, fly over to, fly us to, fly over, dive into, land on, move over to, navigate me to, put me at, put me on, camera at, look towards, show me the way to, bring into view, bring it into view, pull into view, centre around, center around, point me at, point me to, go to, go, fly to, fly, jump to, jump, zoom to, zoom in on, zoom into, zoom on, zoom, navigate to, navigate, focus on, focus, take me to, take us to, bring me to, bring the camera to, bring the view to, bring us to, put the camera on, aim the camera at, aim at, move to, move the camera to, camera to, move camera to, point the camera at, center on, centre on, center the view on, centre the view on, center the camera on, center view on, travel to, frame, warp to, teleport to, steer to, move the view to, move me to, visit, bring me over to, take the camera to, pan to, camera on, head to, scroll to, head over to, centre the camera on, centre camera on",
    "where": "where finds itself, where is to find, where is to be found, where can i find, where do i find, where i find, where to find, where could i find, where can i see, lie, lies, at which place, in what part of memory, in which part of memory, in which part of ram, position of, placement of, physical location of, physical position of, location of, situated, find the location of, at which location, at what location, where, locate, location, whereabouts, find where, in which place, what address, which address, at what address, at which address, addresses of, at which physical address, at what physical address",
    "count": "cnt, nr, num, num of, # of, count of, quantity of, tally, tally of, head count, headcount, no of, nr of, how many many, how many, count, number of, total number of, how often, amount of processes",
    "size": "total memory used by, total memory of, total memory in, total memory taken by, total ram used by, total ram of, total memory held by, how many gigabytes, how many gb, how many gib, how much gigabytes, how full is, how full, sz, mem usage, mem use, memusage, mem of, mem size, what fraction of, what share of, what percentage of, how many percent of, percentage of, fraction of, share of, what part of, how much room does, memory requirement, memory requirements, memory cost, memory demand, how many pages of memory, weight, how fat, how huge, how massive, how small, ram footprint, ram consumption, memory size of, extent of, extent, space used by, memory used by, ram used by, memory taken by, ram taken by, memory held by, memory occupied by, ram occupied by, total of, total size of, sum of, grand total of, memory usage, memory footprint, memory consumption, memory use, usage, ram usage, ram use, consumption, how heavy, how much, how big, how large, size, footprint, amount of, sum, total size, how much space, how much room, how many bytes, how many kilobytes, how many megabytes, how many mb, how many kb, how many mib, how many kib, memory consumed, how long is",
    "clear": "unmark, disappear, vanish, go away, dismiss, wipe, forget the, take away, take off, undo the, get rid of, rid of, clear, remove, unhighlight, reset, turn off, switch off, hide, drop, dehighlight, cancel",
    "identify": "behind, covers, cover, who owns, owner of, owner, whose, identify, belong to, belong, own, lives at, live at, stored at, resides at, located at, sits at, is at, at address, what is behind, holds, is at offset, at offset, at location, is at location, is behind, what is in, is inside, sits behind, lies at, lie at, found at, is found at, held at, is held at, kept at, kept in, backs, backing, backed by, occupies address, maps to, mapped at, behind address, point to, points to, pointing to",
    "find": "search after, look after the string, hunt for, hunt, look up the string, locate the string, find all occurrences of, all occurrences of, find every, search through, search in, search through memory for, comb through, occurrences, anywhere in memory, present in memory, found in memory, included in, contained in, mentioned in, mentioned, mention, find, scan, scan for, appear, occur, appears in, found in, search for, search, look for, grep for, grep, scan for, occurrences of, occurrence, contains the string, seek",
    "read": "hexdumps, hex, show bytes, raw content, raw contents, raw memory, in hex, as hex, byte values at, bytes from, dump bytes, dump of bytes, x/16x, dump the bytes, print bytes, print the bytes, first bytes, look at the bytes, memory contents at, memory content at, cat, hexdump, hex dump, hex-dump, xxd, peek at, peek, examine, read, bytes, raw bytes, contents of memory, bytes at, content of memory, contents, content, hex-dump, hd, od, what bytes are, which bytes are, value of, value, values of",
    "dump": "dump",
    "translate": "translate, physical address, virtual address, resolve, virtual to physical, physical to virtual, v2p, virt to phys, va to pa, virtual addr, physical addr, phys addr, physical, virtual, phys, virt, guest physical, guest-physical, linear, va, pa, gpa, gva, kva, paddr, vaddr, convert, conversion",
    "compare": "what differs, delta, deltas, contrast, set against, compared, compare, diff, difference between, difference, differences, differ, differ from, different, different from, what is different",
    "change": "is new, what is new, what's new, anything new, altered since, mutated, rewritten, was written, were written, been written, been modified, been changed, been touched, has moved, change, changed, changes, modified, dirty, dirtied, written, touched, got written, new since, updated, altered, happened, happen, writes to",
    "capture": "backup, backup copy, save everything, save the state, save the actual state, save the current state, restore points, image of the memory to disk, copy of the memory, copy of memory, copy of ram, state of the memory, frozen copy, memory image, ram image, memory dump, ram dump, dump of memory, dump of the memory, image of the ram, capture, checkpoint, snapshot, save point, savepoint, saved state, restore point",
    "take": "rec, shoot, grab, produce, generate, write down, bake, snap me, capture me, acquire, acquire a, write that to, write it to, write them to, write this to, write the result to, write the results to, save it to, save that to, take, make, create, save, write out, store, record, start recording",
    "pause": "pause the execution, stop the execution, halt the execution, pause everything, halt everything, put it to sleep, put the machine to sleep, put the vm to sleep, make the machine sleep, make the machine to sleep, make it sleep, stop for a while, stop for now, stop for a bit, stop a while, stand still, stop for a moment, halt for a moment, put on hold, put it on hold, hold on, stop executing, stop running, stop execution, stop the clock, halt the machine, halt the vm, halt the guest, halt the vcpus, halt the cpus, freeze it, freeze everything, pause it, pause, freeze, suspend, suspend execution, pause execution, halt execution, freeze execution, stop the cpus, stop the vcpus, stop the cpu, hold the vm, hold the machine, hold the guest, hold it",
    "resume": "resume the execution, continue the execution, resume running, carry on running, keep running, continue running, continue to run, wake the machine up, wake the machine, wake the vm up, wake the vm, wake the guest up, let the machine go, let the machine go on, let the machine go further, let it go further, unhold, let it continue, let it go on, let the machine run, let the vm run, let it run on, restart execution, start execution again, keep on running, go ahead running, run again, defrost, proceed, resume execution, continue execution, resume, continue, unpause, unfreeze, thaw, go on, let it run, carry on, keep going, cont, wake up, wake it up, wake, start again, let it run again, let it go",
    "shutdown": "shut down, shutdown, power off, poweroff, turn off the machine, stop the machine, stop the vm, stop the guest, terminate, stop this machine, stop it, kill the machine, kill the vm, kill the guest, stop demo, end the machine, quit the machine, shut the machine down, shut the vm down, shut the guest down, shut it down, turn the machine off, turn the vm off, turn it off, switch the machine off, power it off",
    "stop": "off, stop, end, halt, disable, disarm, deactivate",
    "start": "start, begin, enable, arm, activate",
    "picture": "snapshot the screen, shot of the screen, screen snapshot, snapshot of the screen, picture of the screen, pic, pics, snapshot picture, jpeg, jpg, bitmap, drawing, picture, screenshot, image, png, photo, snap, screen shot, screen capture, render a picture, screengrab",
    "draw": "draw, paint",
    "video": "vid, record the screen, screen record, recording of the screen, animation, moving picture, mpeg, screen recording, movie clip, video, film, movie, mp4, clip, screencast",
    "run": "execute, exec, run command, run the command",
    "open": "open",
    "about": "everything you know about, all you know about, everything known about, what do you know about, what is known about, what can you tell me about, everything about, all about, details of, details on, details about, info on, info about, information on, information about, more about, tell about, tell me about, tell us about, facts about, describe, everything on, all on",
    # Things.
    "process": "processes, tree of all the processes, tree of all processes, a tree of all the processes, running stuff, running tasks, processes running, running processes, list of processes, list of tasks, active processes, active tasks, all that runs, everything that runs, everything running, everything that is running, whatever runs, task manager, ps aux ww, process overview, process names, ps ef, ps ax, ps axu, ps auxw, process, proc, task, program, application, app, daemon, server, process table, process list, task list, process tree, pstree, task tree, service, ps, procs, processus, running programs, job, pids, executing tasks, binary, running things, tree of processes, process hierarchy, hierarchy of processes, tree of tasks, what runs",
    "kernel_thread": "kernel thread, kthread, kernel threads, kernel worker, kworkers, kthreads",
    "thread": "threads list, thread, lwp",
    "file": "docs, shared libs of, dso, dsos, solib, file, document, library, shared library, shared object, libraries, so file, lib, libs, shared lib, shared libs, dynamic library",
    "cache": "cached data, file data in memory, cached pages of files, in the cache, from the cache, files the kernel caches, files cached, page cache, pagecache, file cache, cached file, cached files, disk cache, cache of files, buffer cache, files in memory, cached, files in ram, file pages, pages of files, files that are in memory, files cached in memory",
    "open_file": "fd table, open fds, files opened, files held open, files it has open, handles open, open handles, file handles, ls fd, open file, opened file, file descriptor, fd, fds, file handle, handle, descriptor, lsof, files open, open files, opened files, file descriptors",
    "socket": "on the network, over the network, communicate, communicating, communication, conn, conns, socks, sockets list, net, netstats, inet, sock, open connections, ip connections, network sockets, network endpoints, tcp/ip, net connections, network stuff, internet, internet sockets, socket, connection, network connection, netstat, network, networking, endpoint, internet connection, ss, talks, talking, speaks",
    "port": "local port, port",
    "remote_port": "to port, remote port, towards port, foreign port, peer port",
    "listen": "hearing, hears on, hearing on, hear on, hearkening, bound to port, bind to port, bound to the port, binds to port, bound to, waiting for connection, waiting for a connection, accepts connections, accept connections, awaiting connections, in listen state, servers listening, reachable from outside, serving on, serves on, in state listen, in the listen state, listening, listen, listener, accepting connections, waiting for connections, bound, server socket",
    "established": "est, estab, in estab, in established state, active connections, open tcp connections, live connections, in state established, currently connected, established, connected, active connection",
    "tcp": "tcp",
    "tcp6": "tcp6",
    "udp6": "udp6",
    "udp": "udp",
    "unix": "unix, unix domain, af_unix, uds",
    "netlink": "netlink",
    "raw_socket": "raw socket",
    "packet_socket": "packet socket",
    "module": "mod, kmods, ko, ko file, kernel driver, kernel drivers, kernel extension, kernel extensions, kernel mods, mods, loaded drivers, module, driver, lkm, kernel module, loadable module, lsmod, kernel modules, kmod, device driver, loadable kernel module, modules in use",
    "loaded": "loaded, inserted, insmod",
    "slab": "slab, slab cache, slabs, kmem cache, slab allocator, slabinfo, object cache, slub, slabtop, kernel object cache",
    "object": "objs, obj, active object, active objects, live objects, objects in use, object, objects, allocation, instance",
    "mount": "mount options, options of mount, mount opts, mounting, mounted volumes, mounted disks, mounted partitions, fs, file systems, mount list, mount info, fstab, partitions, mount, mounted, mount point, mountpoint, file system, filesystem, mounted file system, mounted filesystem, volume, df",
    "log": "dmesg lines, dmesg messages, dmesg entries, kmsg, kernel messages log, journal, boot output, printk output, printk buffer, syslog, kernel ring, kernel journal, kernel prints, prints of the kernel, log of kernel, logging of the kernel, what the kernel printed, what the kernel said, what the kernel says, what the kernel logged, kernel print, kernel printed, kernel say, kernel said, kernel says, kernel logged, things the kernel said, thing the kernel said, dmesg, kernel log, kernel messages, kernel message, boot message, boot messages, boot log, printk, kernel ring buffer, ring buffer, klog, system log, log of the kernel, messages of the kernel, messages from the kernel, kernel output, log, syslog messages, logs, log message, messages, message, kernel log buffer, log buffer, log file of the kernel, kernel's log, messages log",
    "error": "problem, problems, error, errors, failure, failed, err",
    "warning": "warning, warnings, warn, complain, complained, complaints, grumble",
    "console": "console, serial console, console output, console log, terminal output, serial output, serial log, tty output, boot console",
    "stack_trace": "trace of the stack, kernel trace of, frames of the stack, unwound stack, unwind, stack unwinding, stack dump, kernel stack dump, kernel frames, back trace, stack trace, backtrace, call stack, call trace, stacktrace, call chain, stack frames, stack frame, frames, kernel stack trace, bt, kernel backtrace, callstack, kernel call stack",
    "doing": "going through, working on, busy with, occupied with, blocking on, blocking, parked, parked in, parked at, waits in, wait in, waiting at, sleeps on, sleeping on, sleep on, held up, hangs, hangs in, hang in, hanging in, stalled, stalled in, currently at, executing in the kernel, doing, blocked in, blocked on, sleeping in, waiting for, waiting on, stuck in, stuck, hanging, hung, waits for, blocked, up to, wait for, wait, hang, sleep in, waiting in, wchan, wait channel, wait channels",
    "symbol": "fn, func, funcs, fns, kfunc, kernel symbols, global, globals, kernel variable, kernel function, ksyms, function names, functions of the kernel, kernel routine, procedure, symbol, function, global variable, kernel function, kernel symbol, kallsyms, variable, routine, kallsyms lookup, kallsyms entry, sym, ksym",
    "address": "base, base address, base of, base address of, adr, adress, addrs, location in memory, pointer to, pointer of, address, addr, addresses",
    "struct": "btf, off of, offsetof, size of struct, size of the struct, size of a struct, data structure, data type, datatype, record type, kernel type, kernel struct, kernel structure, c struct, struct layout, layout of structure, fields of, members of, declaration, typedef, union, attributes of, btf of, struct, structure, type, layout of struct, fields of struct, members of struct, offset of, offset, sizeof, fields, members, layout, definition, definition of, laid out, field, member, pahole",
    "status": "how long is it running, how long is it, how long is the machine running, how long is this running, how long has it run, since how long, is the computer on, is it on, is the machine on, is the vm on, is the guest on, switched on, since the last reboot, last reboot, last restart, last restarted, last boot, last booted, did the machine start, did the machine boot, did the vm start, did it start, state of, run state of, current state of, what is the state, health, state of this machine, state of this vm, is everything ok, how is the guest, how are you doing, how is the vm, machine info, info on the machine, info about this machine, details of the machine, since when is it running, running since, when was it started, when was the machine started, when did it boot, how old is the machine, boot time, time since boot, how long ago was it started, how long since it booted, how many cores, number of cores, number of vcpus, cores, smp, status, scheduling state, run state, process state, state of the machine, machine state, state of the guest, state of the vm, uptime, how long, up, which image, what image, image name, info about the machine, machine info, vm info, guest info, vcpus, cpus, number of cpus, how many cpus, how many vcpus, how many cores, ram size, size of ram, size of the ram, machine status, vm status, how is the machine, how is it going, healthy, runstate, powered on, paused, frozen, status of the machine, total memory, total ram, installed ram, installed memory, memory size, runs, is memory full, is the memory full, is ram full, out of memory, memory pressure, what state, which state, in what state, used memory, used ram, memory in use, ram in use, processors, number of processors, how many processors",
    "kernel_version": "ver, vers, kern ver, kernel ver, kernel vers, kern vers, linux ver, kaslr off, address randomisation, address randomization, address space randomisation, address space randomization, address space layout randomisation, address space layout randomization, aslr, version, which version of linux, which version of the kernel, what version of the kernel, what version of linux, release string, banner, linux banner, version string, kernel version string, which release, what release, kernel name, kernel slide, randomisation offset, kernel randomization, kernel randomisation, aslr of the kernel, build-id, buildid, uname r, kernel version, kernel release, version of the kernel, version of linux, linux version, uname, kaslr, kaslr offset, kaslr slide, build id, release of the kernel, os version, kernel build, kernel info, operating system, kernel base, kernel base address, base address of the kernel, base of the kernel, kernel load address, kernel slide, kernel offset, linux kernel version, linux kernel release, linux release, version of the linux kernel",
    "machines": "other machines, any other machines, more machines than this one, each machine, every machine, each vm, every vm, each guest, every guest, each one of the machines, machines, guests, vms, all machines, virtual machines",
    "viewer": "cube, scene, 3d view, 3d scene, gui, viewer windows, open viewers, graphical window, display window, viewer, viewer session, viewer window, window, viewers, open viewer, open viewers, viewer sessions, sessions, session, open window, open windows, windows",
    "table": "overlays, overlay, tables, which tables, kinds of tables",
    "target": "targets, target names",
    "help": "what can this tool do, what does this tool do, what can this do, what can i do, what can i do with this, what can be done, what else can i ask, what else can you do, what can be asked, which things can i ask, what kind of questions, what sort of questions, how can i ask, what are you able to do, what are your abilities, show help, help me please, some examples, example questions, give me examples, help, what can i ask, what can you do, examples, what can you answer, what do you understand, how does this work, what questions, usage help, what can i do here, what can i say, how do i use this, how do i use it, how to use this, what do you know, what can i know, which questions, what could i ask, what may i ask, what can you tell me, what can you tell, what can you show me, what can you do for me, what can you show",
    "event": "events, event stream, live events",
    "epoch": "ep, epoch",
    "since": "between, since, after, from",
    "last": "final few, latest few, past few, last, tail, latest, most recent, newest, previous, recent, final, lately, recently, most recently, of late, latterly",
    "trace": "being recorded, being traced, recording what is executed, record what is executed, recording what gets executed, record what gets executed, the recording, recording, what the cpu executes, what the cpu runs, what the processor executes, what is being executed, what the cpu does, instruction recording, execution recording, recording of execution, record execution, record of execution, exec trace, execution log, trace, tracing, tracer, execution trace, instruction trace, trace plugin, trace recording",
    "hot": "where does the cpu spend most of its time, where does the cpu spend its time, where the cpu spends its time, where the cpu spends most of its time, where is cpu time spent, where cpu time is spent, where is the cpu time spent, what does the cpu spend its time on, ran most often, runs most often, ran the most, runs the most, ran most, executes most, hottest code, hottest functions, hot path, hot paths, hot loops, hottest loops, busiest function, busiest functions, most executed code, most executed functions, executed most, executed the most, executed most often, run most often, most often executed, most run, most frequent code, where cpu time goes, time goes, where the cpu time goes, spends most time, time is wasted, profile of, hot, hottest, hotspot, hot spot, most executed, most time, time is spent, is the time spent, time spent, spent, busiest code, hot code, hot functions, profile, where time goes, bottleneck, spends its time, spend time",
    "user_mode": "user space, userspace, userland, user mode, usermode, user code, user level, ring 3",
    "second": "second, seconds, secs, sec",
    # Memory.
    "memory": "room, space, address space in ram, storage, memory, ram, mem, physical memory, guest memory, main memory",
    "use": "works, works with, users of, takes, taking, hold, holds, held, occupies, use, used, using, use up, using up, consume, occupy, take up, takes up, taking up, need, taken, allocated, hold, cost, costs",
    "hog": "use much memory, use so much memory, use too much memory, use many memory, take so much memory, take much memory, eat so much memory, devours, devouring, munching, munch, swallow, swallowing, wasting, waste, wastes, guzzling, guzzle, hungry for memory, memory guzzler, eating all, using up all, ram eater, memory pig, eat, eat up, hog, hogging, hogger, consumer, gobble, gobble up, memory hog, memory eater, user of memory, users of memory, memory user, where did all my memory go, where did my memory go, where did all the memory go, where did the memory go, where does the memory go, where does all the memory go, where is all the memory, where has all the memory gone, where has the memory gone, memory consumption per process, memory usage per process, memory per process, memory use per process, memory of each process, memory use of each process, memory usage of each process, usage per process, ram per process, memory usage by process, memory by process, memory hungry, memory-hungry, ram hungry, memory intensive",
    "sort": "sorted by, arranged by, arrange by, grouped by size, by number of, ordered after, sorted after, order after, sort after, sort on, sorted on, order on, by resident size, by ram, by ram usage, by ram use, by consumption, by how big they are, by how large they are, by memory footprint, by memory consumption, by memory used, by memory size, by thread count, sorted by, sort by, ordered by, order by, ranked by, rank by, rank, in order of, sorted, sort, by rss, by memory, by size, by memory usage, by memory use, by resident memory, by usage, by footprint, by how much memory they use",
    "frame": "page frame, frame number, page frame number, pfn, physical frame, physical page number, page number, maps frame, is frame, in frame, of frame, owns frame, at frame, to frame",
    "page": "pg, pgs, page, pages, physical page, brick",
    "range": "range, ranges, physical ranges, physical range, extents",
    "map": "memory map, map, mapping, vma, address space, memory area, memory mapping, virtual memory, memory layout, segment, memory region, region, vmas, maps, virtual memory area, area, address map, mmap, mapped, memory maps, proc maps, address space layout, memory map layout, layout of the address space, address space map, virtual address space",
    "executable_map": "executable mapping, executable map, executable region, executable area, executable vma, executable segment, executable memory region, executable memory area, executable memory",
    "writable_map": "writable mapping, writable map, writable region, writable area, writable vma, writable segment, writable memory, writeable mapping, writeable region, writeable area, writable memory region, writable memory area",
    "heap": "heap area, malloc memory, malloced memory, dynamic memory, brk area, brk heap, heap region, heap segment, heap pages, heap, brk, malloc area, malloc heap, heap memory",
    "stack": "stack",
    "kernel_stack": "stacks of the kernel, stack of the kernel, stack in the kernel, stacks in the kernel, kernel side stack, kernel stack, kernel mode stack, kstack, kernelstack, in-kernel stack, kernel-stack",
    "user_stack": "ustack, stacks of user space, stack in user space, stack in userland, userland stack, stack of user mode, user stack, process stack, userspace stack, user mode stack, user space stack",
    "text": "txt, executable part, program image, program's code, binary code, opcodes, machine instructions, .text section, code section, code region, code area, program instructions, text, code, text segment, code segment, machine code, executable code, text section, instructions, code pages, program text, executable pages, program code, .text",
    "page_table": "pt, pgt, ptes, pte pages, paging tables, mmu tables, table of pages, pgtables, pg tables, pts, page translation tables, page table, pagetable, page directory, pgd, pml4, pte, page-table, paging structure, pagetables, mmu table, pud, pmd, translation table, paging table",
    "anonymous": "anonymous page, non-file memory, not file backed, private anonymous memory, anonymous, anon, anonymous memory, anonymous pages, anon memory, anon pages",
    "mapped_file": "mapped file, file mapping, memory mapped file, file-backed, file backed, memory-mapped file, mmaped file, mmapped file, mapped library, mmapped files, file backed memory, file-backed memory, file-backed pages, mapped libraries, mapped files",
    "kernel": "kern, the os, os kernel, kernel, linux, linux kernel, kernel image, vmlinux, kernel memory, kernelspace, kernel space",
    "kernel_data": "kernel data, .data, kernel data section, kernel data segment",
    "rodata": "rodata, read-only data, readonly data, read only data, .rodata, kernel rodata, kernel read-only data, constants",
    "bss": "bss, .bss, kernel bss",
    "init_section": "init section, init code, kernel init, init text, boot code, kernel init section, kernel init memory, init sections, initialisation code, initialization code",
    "percpu": "per-cpu, percpu, per cpu, per-cpu data, per cpu data, percpu area, per-cpu area, per cpu area, per-cpu variables, per cpu variables, per cpu memory, percpu data, percpu variables",
    "memmap": "memmap, struct page, struct pages, page structs, mem_map, vmemmap, page array, struct page array",
    "vmalloc": "vmalloc, vmalloc area, vmalloc memory, vmalloced memory",
    "free": "nothing is using, nobody is using, no one is using, nothing needs, nothing depends on, free memory left, free ram left, free space left, memory left over, is left, are left, have left, enough memory, enough free memory, enough ram, enough free ram, nothing uses, that nothing uses, nobody uses, no one uses, noone uses, nothing needs, used by nothing, used by nobody, used by no one, used by noone, not needed, left over, leftover, spare, spare memory, vacant, vacant pages, idle memory, available ram, free space, unoccupied, unclaimed, nobody uses, not in use by anybody, belongs to nobody, belong to nobody, owned by nobody, owned by no one, belongs to no one, not used, not in use, not being used, isn't used, isn't in use, aren't in use, aren't used, not allocated, not taken, not occupied, free, free memory, free page, unused memory, available memory, available, unused, free pages, free ram, buddy allocator, free list, unallocated, buddy, memory left, ram left, memory is left, ram is left",
    "zero": "all zero, all zeros, only zeros, nothing but zeros, filled with zeros, blank pages, blank, zeroed out, consisting of zeros, contain only zeros, contains only zeros, full of zeros, zero page, zeroed page, zeroed, empty page, pages of zeros, all-zero pages, zeros, zero pages, pages full of zeros, zero filled, zero-filled",
    "untouched": "never been touched, not touched, not yet touched, never written, not been touched, pristine, never been used, virgin, untouched, never touched, untouched memory, untouched pages, never used, never accessed",
    "reserved": "reserved, reserved memory, reserved pages",
    "shmem": "shmem, shared memory, tmpfs, shared memory pages, posix shared memory, shm, tmpfs pages",
    "huge": "huge page, hugepage, thp, transparent huge page, large page, hugetlb, huge",
    "ksm": "ksm, merged pages, deduplicated pages, same page merging",
    "shared": "in both, belongs to both, belonging to both, used by both, mapped by both, mapped in both, both have, both processes, intersection of, overlap of, overlap between, mutual, shared memory between, memory shared between, shared pages between, shared memory of, shared by, shared between, shared, share, common to, in common, both map, both use, common, have in common, jointly mapped, overlap",
    "all": "all memory, all of memory, all ram, all of ram, entire memory, whole memory, everything, entire ram, whole ram, the whole machine, all of it",
    # How it is to be.
    "most": "the most, more than the others, record, leading, number one, topmost, fattiest, largest amount of, biggest amount of, highest amount of, tallest, most, biggest, largest, highest, top, greatest, hungriest, heaviest, max, maximum, fattest, more than any other, worst, big, hog of, large, bulkiest, lots of, a lot of, plenty of",
    "least": "the less, most little, most small, most tiny, the most little, the most small, least big, least large, the least, littlest, minimal, slimmest, thinnest, leanest, least, smallest, fewest, lowest, minimum, min, tiniest",
    "oldest": "running the longest, been running the longest, been running longest, running longest, alive longest, been alive longest, first to start, first to be started, started before all others, started first, was started first, started earliest, were started first, start first, oldest, first started, longest running, longest-running, earliest",
    "newest": "youngest, most recently started, started last, started most recently, latest started, last started",
    "child": "children processes, forked from, spawn of, kid, kids of, sub processes, sub-processes, child tasks, descend from, descends from, begotten by, daughter, daughters, childs, childrens, started from, launched from, whose parent is, with parent, whose parents are, whose ppid is, parent is, ppid is, child, children, child process, child processes, spawned by, started by, forked by, subprocess, subprocesses, descendants, descendant, kids, offspring, forks of, launched by",
    "parent": "ppid, parent of, parent task, ppid of, mum, mom, dad, starter of, launcher of, forked, who is behind, who created, which process created, what created, creator of, who runs, parent, parent process, ppid, who started, who spawned, who forked, which started, father, mother, father process, who launched, what launched, what started, what spawned",
    "sleeping": "sleepers, sleeper, in state s, state s, state s, s state, in sleep, napping, resting, dormant, sleeping, asleep, sleep, interruptible",
    "runnable": "r state, ready to run, ready, on the run queue, on a runqueue, on the runqueue, on core, in state r, being executed, on a processor, runnable, on cpu, on the cpu, on a cpu, currently executing, executing right now, running state, state r, scheduled right now, actively running, on the processor",
    "zombie": "in state z, state z, z state, zombies, zombified, dead processes, not reaped, unreaped, defuncts, zombie, defunct, dead process, undead",
    "idle": "in state i, state i, i state, idling, idle, in idle",
    "uninterruptible": "in state d, stuck in d, d-state, in d, stuck in io, stuck on io, stuck in disk sleep, uninterruptible, disk sleep, d state, state d, uninterruptible sleep, blocked on io, blocked on i/o, blocked in io, iowait, io wait, disk wait, waiting for io, waiting on io, waiting for disk, blocked on disk, waiting for i/o, waiting on i/o",
    "stopped": "in state t, state t, t state, in stopped state, sigstopped, stopped",
    "root": "root user, the root user, user 0, uid 0 user, root's, admin, administrator, privileged user, superuser privileges, root rights, root privileges, root, superuser, as root, owned by root, user root",
    "user": "user, uid, user id, user ids, uids",
    "pid": "pid, process id, process number, process identifier, pid of, process ids, process numbers",
    "command_line": "command of, commands of, cmd line, commandlines, cmdlines, command-lines, args, parameter list, argument list, invocation, how was it started, how it was started, command line, cmdline, argv, arguments, command-line, commandline, started with, parameters, was started with, invoked with",
    "running": "still living, is living, going on, is going on, goes on, going on here, in execution, executed right now, at work, up and running, around, running, ran, active, run, alive, executing",
    "resident": "rss, resident set size, resident memory, resident set, resident size, rss size",
    "filesystem": "ext2, ext3, ext4, xfs, btrfs, overlayfs, procfs, sysfs, devtmpfs, devpts, ramfs, rootfs, squashfs, 9p, nfs, cgroup2, debugfs, tracefs, vfat filesystem, iso9660, fuse, securityfs",
    "depend": "depend on, depends on, depending on, dependency, dependencies, dependents, dependent",
    "by_class": "memory is divided, is divided, ram is divided, memory divided, memory is split, memory is distributed, memory is organised, memory is organized, divided among, divided up, divided into, split up, split into, spread over, spread across, distributed among, distributed over, shared out, allotted, what memory is used for, what is memory used for, what is the memory used for, what the memory is used for, what is ram used for, what ram is used for, who gets how much memory, overview, summary, summarise, summarize, breakdown, break down, broken down, kinds of pages, types of pages, page types, page classes, kinds of memory, memory types, by class of page, composition, break memory down, break the memory down, memory usage by class, memory usage by owner, memory usage by type, memory usage by kind, usage by class, usage by type, usage by owner, usage by kind, memory overview, memory statistics, memory stats, per class, per page class, each class, each page class, every class, kinds of page, what kinds of pages, what kind of pages, which kinds of pages, what types of pages, sorts of pages, memory composition, sums by class, by class of pages, distribution, distributed, made up of, made of, consist of",
    "string": "string, phrase, substring, literal, sequence of characters, character sequence, text string, the word, keyword",
    "regex": "regex, regexp, regular expression, pattern",
    "by_name": "sorted by name, sort by name, ordered by name, order by name, sorted by names, in order of name, sorted alphabetically, sort alphabetically, ordered alphabetically, by name, by names, alphabetically, in alphabetical order, alphabetical, by alphabet, a to z",
    "ascending": "asc, in asc order, sorted ascending, in ascending order, ascending, ascending order, smallest first, least first, lowest first, increasing, from small to large, from smallest to largest",
    "descending": "desc, in desc order, sorted descending, in descending order, descending, descending order, biggest first, largest first, highest first, greatest first, decreasing, from large to small, from largest to smallest",
    "flow": "flow, flows, network flow, network traffic, packets sent, conversations, who talks to whom",
    "ended": "die, died, dead, crash, crashed, exit, exited, gone",
    "nice": "nice, niceness, nice value, nice level, priority",
    "object_size": "objsizes, obj sizes, objsize, obj size, objsz, size per object, size of each object, bytes per object, object size, size of object, size of an object, size of objects, size of the objects",
    "executable": "exec only, exec ones, exec mappings, exec maps, exec areas, exec vmas, exec regions, x only, with execute permission, execute permission, exec permission, permission to execute, x permission, that may be executed, that can be executed, executable",
    "writable": "rw, read-write, read write, with write permission, write permission, permission to write, w permission, that may be written, that can be written, writable, writeable",
    "read_only": "ro, not writable, non-writable, unwritable, read only, read-only, readonly",
    "write_access": "for writing, open for writing, opened for writing, open for write, opened for write, write mode, write access",
    "read_access": "for reading, open for reading, opened for reading, open for read, read mode, read access",
    "deleted": "deleted, unlinked, removed from disk",
    "pipe": "pipe, fifo",
    "time_wait": "time_wait, time wait, time-wait",
    "close_wait": "close_wait, close wait, close-wait",
    "syn_sent": "syn_sent, syn sent, syn-sent",
    "critical": "crit, level crit, level critical, critical",
    "level_notice": "level notice, notice level, notices, notice",
    "level_info": "level info, info level, severity info, info messages, informational message, informational",
    "level_debug": "level debug, debug level, severity debug, debug lines, debug message, debug messages",
    "greater": "and more than, or more than, more than, greater than, larger than, bigger than, higher than, heavier than, over, above, beyond, exceed, exceeds, in excess of, upwards of, more then, bigger then, larger then, greater as, bigger as, larger as, more as",
    "less": "and less than, and fewer than, or less than, or fewer than, less than, fewer than, smaller than, lower than, under, below, beneath, less then, smaller then, less as, smaller as",
    "at_least": "or worse, and worse, or more severe, and more severe, and up, or up, at least, no less than, not less than, no fewer than, not fewer than, not smaller than, not under, not below, or more, or larger, or bigger, or greater, or higher, and more, and above, minimum of, a minimum of",
    "at_most": "at most, no more than, not more than, not larger than, not bigger than, not over, not above, or less, or fewer, or smaller, or lower, and less, maximum of, a maximum of, no larger than, no bigger than",
    "equals": "exactly, equal to, equals, precisely",
    "and": "and, plus, as well as, along with, together with",
    "except": "w/o, sans, but for, bar, save for, aside from, not counting, not including, disregarding, with the exception of, besides, except, without, but not, but no, but without, minus, excluding, leaving out, leave out, ignoring, ignore, exclude, omitting, omit, skipping, skip, other than, apart from, except for",
    "not": "ain't, not, no, never, don't, isn't, aren't, dont, isnt, arent, doesnt, hasnt, havent, wasnt, werent, hasn't, haven't, weren't, none, neither, nor, doesn't, can't, cant, cannot, won't, wont, unless, didn't, didnt, wasn't, non, lacking, lacks, lack",
    "boot": "at boot, on boot, during boot, during the boot, at startup, during startup, while it booted, while booting, since boot, since startup, since it booted, since the boot, since boot time, since the machine started, after boot, boot",
    "only": "limited to, restricted to, confined to, the only, the sole, alone, only, solely, exclusively, merely, purely",
    "total": "in total, total, altogether, overall",
    "permission": "permissions, permission, perms, protection, protections",
    "level": "level, severity, log level",
    "protocol": "protocol",
    "several": "several, multiple, many, various, different ones, numerous, a few, some few",
    "versus": "versus, vs",
    "part": "part",
    "unit": "in megabytes, in mb, in mib, in kilobytes, in kb, in kib, in gigabytes, in gb, in gib, in bytes",
    "briefly": "for a moment, for a while, for a bit, for a minute or so, for now, for the moment, temporarily, briefly, for a short time, for one second, shortly",
    "edge": "begin, begins, start of, beginning of, begin of, end of, ends",
    "each": "each, every, per",
    "user_process": "user process, userspace process, user-space process, user space process, normal process, ordinary process, userland process, non-kernel process",
    "lasting": "that lasts, which lasts, that last, lasting, during, during the next, for the next, within the next, the next",
    "how": "how",
    "like": "starts with, begins with, start with, begin with, ends with, end with, ending with, like, similar to, named like, matching, starting with, beginning with, containing, called, named, name, that start with, whose name contains, with the name, in their name, in its name, in the name, in their names",
    "colour": "view mode, display mode, rendering mode, drawing mode, colour, color, coloured, colored, colouring, coloring, paint by, colour mode, color mode, colour by, color by, colour memory by, color memory by, colour pages by, color pages by, colour everything by, color everything by, shade by",
    "set": "set, switch to, switch, change to, set to, turn on, switch on",
    "when": "when, at what time, since when, what time, start time, starting time",
    "why": "why",
    "mode_owner": "after owner, after the owner, after owners, after process, after the process, by owning process, by which process owns it, by who owns it, who owns what, ownership, by ownership, owner colours, by owner, by process, by owners",
    "mode_entropy": "disorder, information content, shannon entropy, by disorder, by randomness, by entropy, random, how random, entropy, randomness, compressibility",
    "mode_class": "after class, after type, after the type, after kind, by kind of page, by page type, page type, by type of page, by kind of memory, by type of memory, what kind of page it is, kind of page, by class, by type, page class, class, by kind",
    "mode_age": "by how recently it was written, how recently it was written, how recently they were written, by how recently they were written, by when it was last written, when it was last written, by last write, by age of the last write, after age, after the age, by how old it is, how old it is, oldness, by last change, recency, by recency, time since last write, age, by age",
    "mode_writes": "how often they're written, by how often they're written, by how often written, how often they written, by how often they written, by how often they are written, how often they are written, by how often it was written, how often they were written, by how often they change, how often they change, by how often it is written, how often it is written, write frequency, by write frequency, write counts, write count, hotness, by heat, write rate, writes, by writes, write activity, write heat, recent writes, writes heat, heat of writes, dirty heat, heat map of writes",
    "mode_execution": "execution, by execution, executed blocks",
    "mode_bytes": "byte values, by byte, by bytes, by byte value, byte value",
}
"""Words and phrases by concept; of a phrase that begins like another the longer one counts."""

FILLERS = frozenset(
    """
    about actual
    turn ugh whoa heya yay hmpf
    a an the this that these those of in on at for to by with from into onto inside within out is are was were be been being am do does did
    has have having can could would should teh hte lst wat wot u ur r pls plz gimme gonna wanna lemme waht wich thx ty yo shall may might
    must i you he she it its we they me us my your our their them his her one ones please kindly just now right currently present presently
    today here there then so well ok okay hi hello hey dear thanks thank cheers tell give get let lets want wants wanted need like know see
    whether what which who whom whose how list print report output name enumerate say fetch return provide some any all also too
    really exactly actually quickly guest machine vm system box computer os moment time go happening exist exists existing existed got gets
    getting kept belonging belongs owned around as or against toward towards information info details detail overview stuff things
    thing something summary describe description explain explanation quick look question defined somewhere anywhere state still again
    available anything anyone anybody somebody someone everyone line lines entry entries row rows record records live lives living reside
    resides house housed complete full entire whole current respective s re ve ll via using used uses use check checking verify sits sit
    together lookup keep keeps keeping everywhere wherever simply briefly word words figure determine learn discover obtain retrieve pull
    collect gather query detect presented itemise itemize statistics stats figures metrics numbers inventory already yet specifically
    particular certain specific exact precise proper correct itself themselves myself among amongst through across folks guys
    mate buddy friend sir thereof therein whatever whichever basically maybe perhaps probably honestly real truly however seem seems seemed
    places oops whoops ouch argh anymore both teach inform notify enlighten clarify elaborate supply furnish deliver bring offer prepare
    compute calculate estimate explore analyse analyze understand realise realize notice remember recall consider care point curiosity
    paper regarding concerning wherein whereof needful enough ls sure fine super perfect excellent wonderful nicely haha hehe literally
    apparently obviously clearly surely certainly definitely absolutely hopefully unfortunately interestingly immediately instantly
    straight directly somehow nowadays hence therefore thus moreover furthermore besides additionally meanwhile anyhow anyway anyways
    regardless apologies apology welcome hallo ahoy mister miss lady ladies gentlemen it'd that'd there'd who'd what'd where'd how'd why'd
    there're who're what're gotta kinda sorta dunno innit even quite rather pretty somewhat indeed yours mine ours hers theirs whoever umm
    ummm um uhm uhh erm err hmmm hm ah oh wow yeah yep yup hiya howdy greetings cheerio alright alrighty righto aye sup sorry bother excuse
    pardon mind grateful appreciate appreciated thankful tnx ta obliged favour favor lovely think guess suppose assume imagine reckon hope
    wish love loved like'd glad happy hear heard told said says asked asking colleague teacher professor btw fyi afaik imo imho asap
    lol cool great good morning evening afternoon night finally try trying able chance dude bro man mates fellow fellows team fairly very
    simple easily wonder wondering curious interested tool glassbox glass window's up come comes coming kind kinds sort ask possible yes
    hmm uh bye goodbye
    """.split()
)
"""Words that say nothing about what is wanted: a closed list. What narrows, counts, compares, or speaks of another time is never one."""

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
    "view": (
        "reset the view, reset view, reset camera, reset the camera, zoom out, go back, undo, rotate, spin, tilt, default view, initial view, home view",
        "a view is turned and reset in its window, with the mouse and the key Home",
        "which viewers are open",
    ),
    "explanation": (
        "what do i see, what am i seeing, what am i looking at, what do we see, what does the picture show, what does the picture mean, what do the colours mean, what do the colors mean, what is in the picture",
        "a picture is not explained in words; click a byte in the viewer, or name it",
        "memory by class",
    ),
    "own_version": (
        "version of glassbox, glassbox version, version of this tool, version of glass box, your version",
        "that is about this program, not about the machine: `glassbox --version` tells it",
        "kernel version",
    ),
    "advice": (
        "should i, should we, shall i, do you recommend, would you recommend, is it wise, is it safe, is it a good idea, what would happen, what happens if, what if",
        "what is best to do is not judged here; it is told what is",
        "",
    ),
    "time": (
        "yesterday, tomorrow, will, an hour ago, minutes ago, seconds ago, minute ago, a minute ago, hours ago, last week, this morning, earlier today",
        "only now can be asked, and what differs from a capture",
        "what changed since the last checkpoint",
    ),
    "elsewhere": (
        "page table entry, page table entries, pte, ptes, routes, routing table, firewall, iptables, interrupt, interrupts, irq, irqs, timer, timers, system call, system calls, syscall, syscalls, breakpoint, breakpoints, watchpoint, disk, disks, disk space, login, logins, logged in, packets, ip address, hostname, clock, date, locks, mutex, semaphore, hardware, devices, usb, pci",
        "that is in no table here",
        "which tables are there",
    ),
}
"""What people ask for and this product does not do, by concept: the words for it, a sentence that says so, and a question for the nearest that there is."""

COMMON_WORDS = frozenset(
    """
    previously earlier formerly recently remotely anonymously privately exclusively twice sometimes usually mostly partly always often ever while
    until instead otherwise else if virtual host hosts part data level left nearly almost roughly sufficient audit traffic activity visible
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
