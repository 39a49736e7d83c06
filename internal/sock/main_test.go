package sock

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asChild makes the test binary play a service that systemd has started.
const asChild = "TIDEWAITER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		if os.Getenv("LISTEN_PID") == "self" { // the parent cannot know it
			_ = os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
		}
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

// child prints what it has inherited and serves one peer on each socket.
func child() {
	list, err := Inherit()
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println("sockets:", len(list))
	for _, env := range os.Environ() {
		if strings.HasPrefix(env, "LISTEN_") {
			fmt.Println("still there:", env)
		}
	}
	for _, i := range list {
		fmt.Println(i.Name, i.Addr().Network(), i.Addr())
	}
	for _, i := range list {
		if i.Listener != nil {
			c, err := i.Listener.Accept()
			if err != nil {
				fmt.Println("error:", err)
				return
			}
			_, _ = fmt.Fprintln(c, "hello from", i.Name)
			_ = c.Close()
			continue
		}
		buf := make([]byte, 10)
		n, peer, err := i.PacketConn.ReadFrom(buf)
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		_, _ = i.PacketConn.WriteTo(buf[:n], peer)
	}
}
