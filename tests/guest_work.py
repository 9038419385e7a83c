"""Work for a guest that keeps its tools and its kernel busy: checksums, compression, text, copies."""

FILES = "cd /tmp; for i in 1 2; do dmesg; cat /bin/busybox; done > learn.bin; dmesg > learn.txt"
TOOLS = """cd /tmp; md5sum learn.bin; sha1sum learn.bin; sha256sum learn.bin; sha512sum learn.bin; cksum learn.bin; crc32 learn.bin
gzip -c learn.bin > learn.gz; gunzip -c learn.gz > learn.out; cmp learn.bin learn.out; sort learn.txt > learn.sorted; sort -n learn.txt > learn.sorted
grep -c usb learn.txt; awk '{n += length($1)} END {print n}' learn.txt; sed s/a/b/ learn.txt > learn.out; tr a-z A-Z < learn.txt > learn.out
wc learn.txt; head -c 20000 learn.bin | od -x > learn.out; cat learn.bin learn.bin > learn.out; bzip2 -c learn.txt > learn.out
dd if=/dev/zero of=learn.out bs=64k count=32 2> /dev/null; dd if=/dev/urandom of=learn.out bs=64k count=2 2> /dev/null; rm learn.*"""
"""Shell commands of Alpine's own tools over the files that `FILES` makes; some seconds."""
