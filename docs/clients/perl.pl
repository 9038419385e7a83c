#!/usr/bin/perl
# A Glass Box client in core Perl; docs/protocol.md has every byte. Addresses are strings of hex, on the way in and out.
#   perl.pl                                     list machines
#   perl.pl MACHINE                             its connection file
#   perl.pl MACHINE OPERATION [JSON [FILE]]     call; raw bytes of the answer go to FILE, Ctrl-C cancels a job
#   perl.pl MACHINE --events COUNT [TOPIC]      print so many events, a JSON object a line
#   perl.pl MACHINE --page ADDRESS              class and owner of a guest-physical page, from the shared page map
# Exit status: 0 done, 1 the daemon's error, 2 no machine, a broken connection or wrong usage.
use strict;
use warnings;
no warnings 'portable';    # addresses have 64 bits
use Fcntl qw(:flock);
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP;

use constant { PROTOCOL => 3, MORE => 1, LONG => 2, COMMAND => 4, PAGE => 4096, HEADER => 64, ENTRY => 8 };
my @CLASSES = qw(untouched zero other kernel-text kernel-rodata kernel-data page-table process-text process-heap
    process-stack process-file process-anonymous free reserved kernel-bss kernel-init per-cpu slab kernel-stack vmalloc
    module memmap page-cache shmem zero-page ksm huge-page kernel-pages);
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
$SIG{PIPE} = 'IGNORE';
$| = 1;

sub fail { print STDERR "perl.pl: @_\n"; exit 2 }

# --- machines: connection files whose lock is held -----------------------------------------------------------------

sub folder {
    my $base = $ENV{XDG_RUNTIME_DIR} // '';
    return $base =~ m{^/} ? "$base/glassbox" : "/tmp/glassbox-$<";
}

sub lives {
    open my $lock, '<', folder() . "/$_[0].lock" or return 0;
    return !flock $lock, LOCK_SH | LOCK_NB;    # closing the handle gives a free lock back
}

sub machines {
    opendir my $files, folder() or return;
    return sort grep { lives($_) } map { /^(.+)\.json$/ } readdir $files;
}

sub part {    # $size bytes of a file, or all of it
    my ($path, $offset, $size) = @_;
    open my $file, '<:raw', $path or fail("$path: $!");
    seek $file, $offset // 0, 0;
    read $file, my $bytes, $size // -s $file;
    return $bytes;
}

sub machine {
    my ($name) = @_;
    fail("no machine '$name' runs; there are: @{[machines()]}") unless lives($name);
    my $found = $json->decode(part(folder() . "/$name.json"));
    fail("protocol $found->{protocol} instead of " . PROTOCOL) unless $found->{protocol} == PROTOCOL;
    return $found;
}

# --- ZMTP 3, mechanism NULL ----------------------------------------------------------------------------------------

sub get {    # exactly $size bytes; a daemon that is killed sends nothing, so look at its lock while waiting
    my ($link, $size) = @_;
    while (length $link->{buffer} < $size) {
        if (!$link->{select}->can_read(2)) { fail('the daemon has died') unless lives($link->{name}); next }
        sysread $link->{socket}, $link->{buffer}, 1 << 20, length $link->{buffer} or fail('the daemon hung up');
    }
    return substr $link->{buffer}, 0, $size, '';
}

sub put {
    my ($link, $flags, $body) = @_;
    my $head = length $body < 256 ? pack 'CC', $flags, length $body : pack 'CQ>', $flags | LONG, length $body;
    my $bytes = $head . $body;
    while (length $bytes) {
        my $done = syswrite $link->{socket}, $bytes;
        fail("cannot write: $!") unless $done || $!{EINTR};
        substr $bytes, 0, $done // 0, '';
    }
}

sub frame {
    my ($link) = @_;
    my $flags = unpack 'C', get($link, 1);
    my $size = $flags & LONG ? unpack 'Q>', get($link, 8) : unpack 'C', get($link, 1);
    return ($flags, get($link, $size));
}

sub message {    # the frames of the next message
    my ($link) = @_;
    my @frames;
    while (1) {
        my ($flags, $body) = frame($link);
        next if $flags & COMMAND;
        push @frames, $body;
        return @frames unless $flags & MORE;
    }
}

sub dial {
    my ($name, $endpoint, $type) = @_;
    my ($path) = $endpoint =~ m{^ipc://(.+)} or fail("$endpoint is no Unix socket");
    my $socket = IO::Socket::UNIX->new(Peer => $path) or fail("$path: $!");
    my $link = { name => $name, socket => $socket, buffer => '', select => IO::Select->new($socket) };
    syswrite $socket, pack 'C x8 C C2 a20 x32', 0xff, 0x7f, 3, 0, 'NULL';
    get($link, 64);
    put($link, COMMAND, pack 'C/a* C/a* N/a*', 'READY', 'Socket-Type', $type);
    my ($flags, $body) = frame($link);
    fail("no READY: $body") unless $flags & COMMAND && $body =~ /^\x05READY/;
    return $link;
}

# --- requests ------------------------------------------------------------------------------------------------------

sub request {
    my ($link, $id, $operation, $arguments) = @_;
    put($link, 0, $json->encode({ protocol => PROTOCOL, id => $id, operation => $operation, arguments => $arguments }));
}

my $last_id = 0;

sub call {    # the last reply and its raw frames
    my ($link, $operation, $arguments) = @_;
    my $id = ++$last_id;
    local $SIG{INT} = sub { request($link, "cancel $id", 'cancel', { request => $id }) };
    request($link, $id, $operation, $arguments);
    while (1) {
        my ($text, @raw) = message($link);
        my $reply = $json->decode($text);
        next unless ($reply->{id} // '') eq $id;
        return ($reply, @raw) unless $reply->{progress};
        printf STDERR "%s of %s\n", @{ $reply->{progress} };
    }
}

sub page {
    my ($machine, $link, $address) = @_;
    my ($region) = grep { $address >= $_->[0] && $address < $_->[0] + $_->[2] } @{ $machine->{regions} };
    fail('no RAM is there') unless $region;
    my $number = int(($address - $region->[0] + $region->[1]) / PAGE);
    while (1) {    # until no newer generation came in between
        my ($reply) = call($link, 'refresh_page_map', {});
        return $reply unless $reply->{ok};
        my ($generation, $owners) = @{ $reply->{result}{value} }{qw(generation owners)};
        my $path = $machine->{page_map_path};
        my ($magic, $version, $pages) = unpack 'a4 L< Q<', part($path, 0, HEADER);
        fail("$path is no page map of version 1") unless $magic eq 'GBPM' && $version == 1;
        my $entry = part($path, HEADER + ENTRY * (($generation & 1) * $pages + $number), ENTRY);
        next unless $generation == unpack 'x16 Q<', part($path, 0, HEADER);
        my ($class, $flags, $owner_id) = unpack 'C C x2 L<', $entry;
        my ($owner) = grep { $_->{owner_id} == $owner_id } @$owners;
        my $found = { page => $number, class => $CLASSES[$class] // "class-$class", flags => $flags, owner => $owner };
        return { ok => 1, result => $found };
    }
}

# --- the command line ----------------------------------------------------------------------------------------------

my ($name, $operation, @rest) = @ARGV;
if (!defined $name) { print "$_\n" for machines(); exit 0 }
my $machine = machine($name);
if (!defined $operation) { print $json->encode($machine), "\n"; exit 0 }
if ($operation eq '--events') {
    my $link = dial($name, $machine->{events}, 'SUB');
    put($link, 0, "\x01" . ($rest[1] // ''));
    print +(message($link))[1], "\n" for 1 .. $rest[0] // 1;
    exit 0;
}
my $link = dial($name, $machine->{control}, 'DEALER');
my ($reply, @raw);
if ($operation eq '--page') {
    ($reply) = page($machine, $link, hex($rest[0] // fail('--page needs an address')));
} else {
    ($reply, @raw) = call($link, $operation, eval { $json->decode($rest[0] // '{}') } // fail("no JSON: $@"));
}
print $json->encode($reply->{ok} ? $reply->{result} : $reply->{error}), "\n";
if (defined $rest[1]) {
    open my $file, '>:raw', $rest[1] or fail("$rest[1]: $!");
    print $file @raw;
    close $file or fail("$rest[1]: $!");
}
exit($reply->{ok} ? 0 : 1);
