# Switches features of a network device, as `ethtool -K` does, without that package.
#
#     perl features.pl DEVICE NAME=on NAME=off ...
#
# Names are the kernel's (net/ethtool/common.c, netdev_features_strings). A feature that does not become what was
# asked for is a failure: a test would otherwise prove something about another device than the one it draws.
use strict;
use warnings;
use Socket qw(AF_INET SOCK_DGRAM);

# linux/sockios.h and linux/ethtool.h
use constant SIOCETHTOOL => 0x8946;
use constant { GSTRINGS => 0x1b, GSSET_INFO => 0x37, GFEATURES => 0x3a, SFEATURES => 0x3b };
use constant { SS_FEATURES => 4, STRING_BYTES => 32 };

my ($device, @wanted) = @ARGV;
socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";

# struct ethtool_sset_info: cmd, reserved, mask of sets; then the number of strings in the set
my $count = unpack 'x16 L', ask(pack 'L L Q L', GSSET_INFO, 0, 1 << SS_FEATURES, 0);
my $blocks = int(($count + 31) / 32);
# struct ethtool_gstrings: cmd, set, number; then the strings
my @names = unpack 'x12' . ('Z' . STRING_BYTES) x $count,
    ask(pack 'L L L x' . $count * STRING_BYTES, GSTRINGS, SS_FEATURES, $count);
my %bit_of = map { $names[$_] => $_ } 0 .. $#names;

my %wish = map { /^([\w-]+)=(on|off)$/ ? ($1 => $2 eq 'on') : die "$_ is no NAME=on or NAME=off\n" } @wanted;
my @blocks = map { [0, 0] } 1 .. $blocks;
for my $name (keys %wish) {
    my $bit = $bit_of{$name} // die "this kernel knows no feature $name\n";
    my $block = $blocks[$bit / 32];
    $block->[0] |= 1 << $bit % 32;
    $block->[1] |= 1 << $bit % 32 if $wish{$name};
}
# struct ethtool_sfeatures: cmd, number of blocks; then mask and value of each
ask(pack 'L*', SFEATURES, $blocks, map { @$_ } @blocks);

# struct ethtool_gfeatures: cmd, number of blocks; then available, requested, active, never changed of each
my (undef, undef, @got) = unpack 'L*', ask(pack 'L L x' . $blocks * 16, GFEATURES, $blocks);
for my $name (keys %wish) {
    my $bit = $bit_of{$name};
    my $active = $got[int($bit / 32) * 4 + 2] >> $bit % 32 & 1;
    die "$name of $device stayed ", ($active ? 'on' : 'off'), "\n" if $active != ($wish{$name} ? 1 : 0);
}

# The kernel answers in the very bytes that it was asked with.
sub ask {
    my ($question) = @_;
    my $request = pack 'a16 P x16', $device, $question;    # struct ifreq
    defined ioctl($socket, SIOCETHTOOL, $request) or die "SIOCETHTOOL for $device: $!\n";
    return $question;
}
