# Hashes, closures, formats, pipes to children, fork, sorting, big strings.
use strict;
use warnings;
use Data::Dumper;
use POSIX ();
$Data::Dumper::Sortkeys = 1;
my %index;
for my $i (1 .. 20000) { push @{ $index{"word" . ($i * 7919 % 503)} }, $i }
print scalar(keys %index), " ", scalar(@{ $index{word1} }), "\n";
my $text = join ",", map { "$_=" . join("+", @{ $index{$_} }[0, 1]) } sort keys %index;
$text =~ s/(\d+)\+(\d+)/$1 * $2/ge;
print length($text), "\n";
my @closures = map { my $n = $_; sub { $n + shift } } 1 .. 5000;
my $sum = 0;
$sum += $_->(1) for @closures;
print "$sum\n";
print Dumper([ { name => "x", list => [ 1 .. 5 ] }, \"text" ]);
open my $pipe, "-|", "sort", "-r", $0 or die;
my @lines = <$pipe>;
close $pipe;
print scalar(@lines), "\n";
for my $code (0 .. 5) {
    my $child = fork // die;
    if (!$child) { my @waste = (1 .. 10000); POSIX::_exit($code) }
    waitpid $child, 0;
    print $? >> 8, " ";
}
print "\n";
my $big = "x" x 3_000_000;
$big .= "y" x 1_000 for 1 .. 200;
print length($big), "\n";
eval { die { reason => "caught" } };
print $@->{reason}, "\n";
warn "to standard error\n";
