# Hashes of arrays, splitting and joining, substitutions.
use strict;
use warnings;
my ($total, %index) = (0);
for my $round (1 .. 4) {
    %index = ();
    for my $i (1 .. 60000) {
        my $key = "word" . ($i * 7919 % 20011);
        push @{ $index{$key} }, "$i-$round";
    }
    for my $key (sort keys %index) {
        my $line = join(",", $key, @{ $index{$key} });
        my @parts = split(/[,-]/, $line);
        $line =~ s/word(\d+)/<$1>/g;
        $total += @parts + length($line);
    }
}
print "$total\n";
