package listentest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// greeter stands for the listener module under test.
type greeter struct{}

func (greeter) Listen(ctx context.Context, ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return nil
		}
		name, _ := bufio.NewReader(c).ReadString('\n')
		fmt.Fprintf(c, "hello %sfrom %v\n", name, c.RemoteAddr())
		_ = c.Close()
	}
}

func Example() {
	ln := listentest.NewListener()
	done := make(chan error)
	go func() { done <- greeter{}.Listen(context.Background(), ln) }()

	c := ln.Dial()
	fmt.Fprintln(c, "juliet")
	answer := bufio.NewScanner(c)
	for answer.Scan() {
		fmt.Println(answer.Text())
	}

	_ = ln.Close()
	fmt.Println(<-done)
	// Output:
	// hello juliet
	// from 198.51.100.1:49152
	// <nil>
}
