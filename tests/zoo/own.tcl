foreach name [lsort [array names env]] { puts "$name=$env($name)" }
catch { exec sh [lindex $argv 0] "a b" "" } said
puts $said
