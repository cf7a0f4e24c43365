BEGIN {
    for (name in ENVIRON) print name "=" ENVIRON[name] | "sort"
    close("sort")
    print system("sh " witness " 'a b' ''")
    while (("echo pipe" | getline line) > 0) print line
}
