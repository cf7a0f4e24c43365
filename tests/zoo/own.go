// Prints its environment and starts the witness, by Go's standard library.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"sort"
)

func main() {
	variables := os.Environ()
	sort.Strings(variables)
	for _, variable := range variables {
		fmt.Println(variable)
	}
	command := exec.Command("sh", os.Args[1], "a b", "")
	said, err := command.CombinedOutput()
	fmt.Print(string(said), err, "\n")
	me, err := user.Current()
	fmt.Println(me.Username, err)
	addresses, err := net.LookupHost("localhost")
	fmt.Println(len(addresses) > 0, err)
	fmt.Println(os.Getpagesize())
}
