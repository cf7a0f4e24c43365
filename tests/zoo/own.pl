print "$_=$ENV{$_}\n" for sort keys %ENV;
$| = 1;
system("sh", $ARGV[0], "a b", "");
print $? >> 8, "\n", `sh -c 'echo backticks; exit 7'`, $? >> 8, "\n";
open(my $pipe, "-|", "env | wc -l");
print <$pipe>;
close($pipe);
exec("/nonexistent") or print "$!\n";
