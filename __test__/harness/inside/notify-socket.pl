# Stands in the service manager's place: prints each message that comes to a notify socket (sd_notify(3)) as one line,
# its assignments separated by " | ".
#
#     perl notify-socket.pl PATH      where @name is an abstract socket
use strict;
use warnings;
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);

my ($path) = @ARGV;
my $name = $path =~ /^\@(.*)/s ? "\0$1" : $path;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!\n";
# pack_sockaddr_un fills an abstract name with zeros, which are part of it; sun_family and the name alone are not.
bind($socket, $name =~ /^\0/ ? pack('S a*', AF_UNIX, $name) : pack_sockaddr_un($name)) or die "bind: $!\n";
$| = 1;
print "ready\n";
while (defined recv($socket, my $message, 65536, 0)) {
    print join(' | ', split /\n/, $message), "\n";
}
