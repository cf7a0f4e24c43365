print(os.getenv("PATH"), os.getenv("LD_PRELOAD"), os.getenv("PORTCULLIS_CONTEXT"))
io.stdout:setvbuf("no")
print(os.execute("sh " .. arg[1] .. " 'a b' ''"))
print(io.popen("env | sort"):read("a"))
