# Runs a command in which io_uring is forbidden, as Docker's default seccomp profile does it: the
# system call fails with EPERM. (The sysctl kernel.io_uring_disabled would do it to the whole machine.)
#
#     perl forbid-io-uring.pl [--errno NUMBER] COMMAND...
#
# With another errno it fails as elsewhere: ENOMEM (12) is what kernels before 5.12 say when the ring
# does not fit into the limit of locked memory.
use strict;
use warnings;
use POSIX ();

# prctl(2), linux/prctl.h
my %PRCTL = (x86_64 => 157, aarch64 => 167);
use constant { PR_SET_NO_NEW_PRIVS => 38, PR_SET_SECCOMP => 22, SECCOMP_MODE_FILTER => 2 };
# linux/seccomp.h and linux/bpf_common.h
use constant { RET_ALLOW => 0x7fff0000, RET_ERRNO => 0x00050000, EPERM => 1 };
use constant { LD_W_ABS => 0x20, JMP_JEQ_K => 0x15, RET_K => 0x06 };
# The same number on every architecture.
use constant IO_URING_SETUP => 425;

my $errno = EPERM;
if ($ARGV[0] eq '--errno') { (undef, $errno) = splice @ARGV, 0, 2 }

my $prctl = $PRCTL{ (POSIX::uname())[4] } or die "no number of prctl for this machine\n";

# struct sock_filter: u16 code, u8 jt, u8 jf, u32 k
my @filter = (
    [LD_W_ABS,  0, 0, 0],                    # seccomp_data.nr
    [JMP_JEQ_K, 0, 1, IO_URING_SETUP],
    [RET_K,     0, 0, RET_ERRNO | $errno],
    [RET_K,     0, 0, RET_ALLOW],
);
my $instructions = join '', map { pack 'S C C L', @$_ } @filter;
my $program = pack 'S x6 P', scalar @filter, $instructions;    # struct sock_fprog

syscall($prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 or die "PR_SET_NO_NEW_PRIVS: $!\n";
syscall($prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, $program, 0, 0) == 0 or die "PR_SET_SECCOMP: $!\n";
exec @ARGV or die "$ARGV[0]: $!\n";
