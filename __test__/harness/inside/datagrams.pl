# One end of a checked transfer over UDP, run inside a namespace.
#
#     perl datagrams.pl receive ADDRESS            prints {"port":…}, then {"datagrams":…,"bytes":…,"sha256":…}
#     perl datagrams.pl send ADDRESS PORT HOW PLAN < payload           prints {"datagrams":…,"bytes":…}
#
# HOW is `segmented`, where the kernel gets each burst in one piece and makes the datagrams of it (UDP_SEGMENT);
# `single`, where each datagram is sent by itself; or `blind`, which is `segmented` to someone who answers nothing.
# PLAN says the bursts, again and again until the payload is used up: `47x1372+500,3x100` is 47 datagrams of 1372
# bytes and one of 500, then three of 100.
#
# Each datagram says its number and its size, and the receiver takes no other than the next: one that is lost,
# doubled, overtaken, cut or joined with another fails the transfer. At the end of each round of the plan the sender
# waits for an answer, so that no queue on the way overflows by rights.
#
# In Perl because Node sets no such socket option, and Perl's base is on every Debian; nothing else of it is used.
use strict;
use warnings;
use IPC::Open2 qw(open2);
use Socket qw(AF_INET AF_INET6 SOCK_DGRAM SOL_SOCKET inet_pton
    pack_sockaddr_in pack_sockaddr_in6 unpack_sockaddr_in unpack_sockaddr_in6);

# linux/udp.h, asm-generic/socket.h
use constant { SOL_UDP => 17, UDP_SEGMENT => 103, SO_RCVBUFFORCE => 33 };
# The kernel counts the buffers that hold a datagram, not its bytes: some kilobytes for the smallest.
use constant RECEIVE_BUFFER_BYTES => 16 * 1024 * 1024;
use constant DATAGRAM_MAX_BYTES => 65535;
use constant ANSWER_SECONDS => 10;

# In front of each payload, big-endian: the datagram's number, its size, and flags.
use constant { HEADER => 'N n n', HEADER_BYTES => 8 };
use constant { ASKS => 1, ENDS => 2 };

my ($role, $address, @rest) = @ARGV;
my $is_ipv6 = $address =~ /:/;
socket(my $socket, $is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
$| = 1;

if    ($role eq 'receive') { take() }
elsif ($role eq 'send')    { give(@rest) }
else                       { die "role $role is neither receive nor send\n" }

sub take {
    setsockopt($socket, SOL_SOCKET, SO_RCVBUFFORCE, pack('i', RECEIVE_BUFFER_BYTES)) or die "SO_RCVBUFFORCE: $!\n";
    bind($socket, endpoint(0)) or die "bind $address: $!\n";
    my ($port) = $is_ipv6 ? unpack_sockaddr_in6(getsockname $socket) : unpack_sockaddr_in(getsockname $socket);
    print qq({"port":$port}\n);

    my $sum_process = open2(my $sum, my $to_sum, 'sha256sum');
    binmode $to_sum;
    my ($awaited, $bytes, $flags) = (0, 0, 0);
    until ($flags & ENDS) {
        my $from = recv($socket, my $datagram, DATAGRAM_MAX_BYTES, 0) // die "recv: $!\n";
        (my $number, my $size, $flags) = unpack HEADER, $datagram;
        die "datagram $number came where $awaited was the next\n" if $number != $awaited;
        die "datagram $number has ", length $datagram, " bytes instead of $size\n" if $size != length $datagram;
        print {$to_sum} substr $datagram, HEADER_BYTES;
        $bytes += $size - HEADER_BYTES;
        $awaited += 1;
        if ($flags & ASKS) { send($socket, pack('N', $number), 0, $from) // die "answer: $!\n" }
    }
    close $to_sum;
    my ($sha256) = <$sum> =~ /^(\w+)/;
    waitpid $sum_process, 0;
    print qq({"datagrams":$awaited,"bytes":$bytes,"sha256":"$sha256"}\n);
}

sub give {
    my ($port, $how, $plan) = @_;
    connect($socket, endpoint($port)) or die "connect $address $port: $!\n";
    binmode STDIN;
    my $payload = do { local $/; <STDIN> };
    my @rounds = map { [burst($_)] } split /,/, $plan;
    my ($number, $at) = (0, 0);
    while ($at < length $payload) {
        for my $index (0 .. $#rounds) {
            my ($segment_bytes, @sizes) = @{ $rounds[$index] };
            my @datagrams;
            for my $i (0 .. $#sizes) {
                last if $at == length $payload;
                my $body = substr $payload, $at, $sizes[$i] - HEADER_BYTES;
                $at += length $body;
                my $ends = $at == length $payload;
                my $asks = $how ne 'blind' && ($ends || ($i == $#sizes && $index == $#rounds));
                my $flags = ($ends ? ENDS : 0) | ($asks ? ASKS : 0);
                push @datagrams, pack(HEADER, $number, HEADER_BYTES + length $body, $flags) . $body;
                $number += 1;
            }
            last unless @datagrams;
            if ($how eq 'single') { put($_) for @datagrams }
            else {
                setsockopt($socket, SOL_UDP, UDP_SEGMENT, pack('i', $segment_bytes)) or die "UDP_SEGMENT: $!\n";
                put(join '', @datagrams);
            }
        }
        await_answer($number - 1) if $how ne 'blind';
    }
    print qq({"datagrams":$number,"bytes":), length $payload, "}\n";
}

# `47x1372+500`: the size that all but the last have, then the size of each.
sub burst {
    my ($count, $bytes, $last) = $_[0] =~ /^(\d+)x(\d+)(?:\+(\d+))?$/ or die "$_[0] is no burst\n";
    return ($bytes, ($bytes) x $count, $last // ());
}

sub put {
    my $sent = send($socket, $_[0], 0) // die 'send of ', length $_[0], " bytes: $!\n";
    die "only $sent bytes were sent\n" if $sent != length $_[0];
}

sub await_answer {
    my ($number) = @_;
    vec(my $readable = '', fileno $socket, 1) = 1;
    select($readable, undef, undef, ANSWER_SECONDS) or die "datagram $number was not answered\n";
    defined recv($socket, my $answer, 64, 0) or die "recv: $!\n";
    my $got = unpack 'N', $answer;
    die "datagram $got was answered where $number was asked\n" if $got != $number;
}

sub endpoint {
    my ($port) = @_;
    my $bytes = inet_pton($is_ipv6 ? AF_INET6 : AF_INET, $address) // die "$address is no address\n";
    return $is_ipv6 ? pack_sockaddr_in6($port, $bytes) : pack_sockaddr_in($port, $bytes);
}
