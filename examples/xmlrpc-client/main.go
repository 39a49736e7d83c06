// Command xmlrpc-client runs a command of a server by XML-RPC, and prints the result.
//
//	go run ./examples/xmlrpc-client -user admin@localhost -password … registered_users host=localhost
//
// An argument name=value is a text, and name:=5 a number.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/kolo/xmlrpc"
)

func main() {
	log.SetFlags(0)
	url := flag.String("url", "http://127.0.0.1:5280/xmlrpc/", "`URL` of the server's handler ejabberd_xmlrpc")
	user := flag.String("user", "", "`account` that calls; without one only the address of this machine counts")
	password := flag.String("password", "", "its `password`, which other users of this machine can see")
	flag.Parse()
	result, err := call(*url, *user, *password, flag.Arg(0), flag.Args()[min(1, flag.NArg()):])
	if err != nil {
		log.Fatal("xmlrpc-client: ", err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(result) // who reads the output may have gone
}

func call(url, user, password, command string, words []string) (result any, err error) {
	var params []any
	if user != "" {
		name, server, _ := strings.Cut(user, "@")
		params = append(params, map[string]any{"user": name, "server": server, "password": password})
	}
	arguments := map[string]any{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		arguments[name] = value
		if number, ok := strings.CutSuffix(name, ":"); ok {
			delete(arguments, name)
			if arguments[number], err = strconv.Atoi(value); err != nil {
				return nil, fmt.Errorf("%s: %w", word, err)
			}
		}
	}
	if len(arguments) > 0 {
		params = append(params, arguments)
	}
	client, err := xmlrpc.NewClient(url, nil)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	err = client.Call(command, params, &result)
	return result, err
}
