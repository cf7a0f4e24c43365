ENV.sort.each { |name, value| puts "#{name}=#{value}" }
$stdout.sync = true
system("sh", ARGV[0], "a b", "")
puts $?.exitstatus, `echo backticks; exit 7`, $?.exitstatus
puts IO.popen(["sh", "-c", "echo popen"]).read
puts Process.wait2(fork { exit 6 })[1].exitstatus
