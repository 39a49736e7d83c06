package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd/api"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

// anyone lets everybody run everything. A server has an *acl.Ref.
type anyone struct{}

func (anyone) Permits(acl.Subject, acl.Command) bool { return true }

// A program has its own mux and its own commands.
func Example() {
	var commands command.Registry
	err := commands.Add(command.Command{
		Name:   "double",
		Args:   []command.Field{{Name: "n", Type: command.Integer}},
		Result: command.Field{Name: "twice", Type: command.Integer},
		Run:    func(_ context.Context, a command.Args) (any, error) { return 2 * a.Int("n"), nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", api.New(api.Host{Commands: &commands, Permissions: anyone{}})))

	r := httptest.NewRequest(http.MethodPost, "/api/double", strings.NewReader(`{"n": 21}`))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 42
}
