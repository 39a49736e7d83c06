package httpd_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/tidewaiter/tidewaiter/httpd"
)

// A program serves a handler of its own with the limits and headers of the module.
func Example() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s", httpd.InfoOf(r).Rest)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	o := httpd.Defaults()
	o.RequestHandlers = map[string]string{"/hello": "hello"}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- httpd.New(httpd.Host{Handlers: map[string]http.Handler{"hello": hello}}).Listen(ctx, ln, o)
	}()

	a, err := http.Get("http://" + ln.Addr().String() + "/hello/you")
	if err != nil {
		fmt.Println(err)
		return
	}
	b, _ := io.ReadAll(a.Body)
	_ = a.Body.Close()
	fmt.Println(string(b))
	http.DefaultClient.CloseIdleConnections()
	cancel()
	<-done
	// Output: hello you
}
