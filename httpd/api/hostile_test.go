package api

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bodies that are bombs for readers of JSON are refused, and cost little.
func TestBombs(t *testing.T) {
	const deep = 1_000_000
	invalid, tooDeep, tooMany := `"Invalid JSON input"`, `"arrays and objects are more than 32 deep"`, `"there are more than 10000 values"`
	large := `"the body is larger than 1048576 bytes"`
	for name, tt := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"arrays":              {`{"v":` + strings.Repeat("[", deep), 400, tooDeep},
		"arrays that end":     {`{"v":` + strings.Repeat("[", deep/2) + strings.Repeat("]", deep/2) + "}", 400, tooDeep},
		"objects":             {strings.Repeat(`{"v":`, deep/5), 400, tooDeep},
		"more than may be":    {strings.Repeat(`{"v":`, deep), 413, large},
		"numbers":             {`{"v":[` + strings.Repeat("1,", deep/2) + "1]}", 400, tooMany},
		"empty objects":       {`{"v":[` + strings.Repeat("{},", deep/3) + "1]}", 400, tooMany},
		"names":               {`{` + strings.Repeat(`"":1,`, deep/5) + `"v":1}`, 400, `"duplicate argument \"\""`},
		"blanks":              {strings.Repeat(" ", deep), 400, invalid},
		"text without end":    {`{"v":"` + strings.Repeat("x", deep), 400, invalid},
		"escapes without end": {`{"v":"` + strings.Repeat(`\u0041`, deep/6), 400, invalid},
		"digits":              {`{"v":` + strings.Repeat("9", deep) + "}", 400, `"argument v: want an integer, got a number that is too large"`},
		"exponent":            {`{"v":1e999999999}`, 400, `"argument v: want an integer, got something else"`},
		"fraction":            {`{"v":1.0000000000000000000000001}`, 400, `"argument v: want an integer, got something else"`},
		"one too many":        {`{"v":9223372036854775808}`, 400, `"argument v: want an integer, got a number that is too large"`},
		"one too few":         {`{"v":-9223372036854775809}`, 400, `"argument v: want an integer, got a number that is too large"`},
		"not a number":        {`{"v":NaN}`, 400, invalid},
		"text of a number":    {`{"v":"5"}`, 400, `"argument v: want an integer, got a string"`},
		"truth":               {`{"v":true}`, 400, `"argument v: want an integer, got a boolean"`},
		"nothing":             {`{"v":null}`, 400, `"argument v: want an integer, got nothing"`},
	} {
		h := handler(t, everybody)
		before := heap()
		check(t, do(h, request(http.MethodPost, "echo_integer", tt.body)), tt.status, tt.want)
		if grown := heap() - before; grown > 1<<20 {
			t.Errorf("%s: the heap has grown by %d bytes, want next to nothing", name, grown)
		}
		runtime.KeepAlive(h)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// checks counts passwords that are checked.
type checks struct{ n int }

func (c *checks) VerifyPassword(_ context.Context, user stanza.JID, _ string) error {
	c.n++
	switch user.Local() {
	case "nobody":
		return stanza.ErrNoAccount
	case "gone":
		return stanza.ErrAccountDisabled
	}
	return stanza.ErrNotAuthorized
}

// Neither the answer nor the work tells which accounts there are.
func TestUsersAreNotTold(t *testing.T) {
	var reg command.Registry
	if err := reg.Add(commands()...); err != nil {
		t.Fatal(err)
	}
	c := new(checks)
	h := New(Host{Commands: &reg, Permissions: permissions(everybody), Passwords: c})
	for i, user := range []string{"ana@localhost", "nobody@localhost", "gone@localhost", "nobody@far.test", "ana@localhost/boat"} {
		check(t, do(h, request(http.MethodGet, "yes", "", basic(user, "x")...)), 401, wrongBasic)
		if c.n != i+1 {
			t.Errorf("%s: %d passwords were checked, want one", user, c.n-i)
			c.n = i + 1
		}
	}
}

// No answer lets a page of another site use what a browser keeps for the server.
func TestNoCredentialsForPages(t *testing.T) {
	h := handler(t, everybody)
	for _, method := range []string{http.MethodOptions, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		for _, header := range [][]string{nil, basic("ana@localhost", "anchor: off"), basic("ana@localhost", "x"), {"Authorization", "Bearer x"}} {
			r := request(method, "yes", "{}", append([]string{"Origin", "https://evil.test", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"}, header...)...)
			got := do(h, r).Header()
			if got.Get("Access-Control-Allow-Credentials") != "" || got.Get("Access-Control-Allow-Origin") != "*" || strings.Contains(got.Get("Access-Control-Allow-Headers"), "*") {
				t.Errorf("%s: got %v", method, got)
			}
		}
	}
}

// Many may call at a time.
func TestConcurrent(t *testing.T) {
	h := handler(t, public)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				v := fmt.Sprintf("%d %d", i, n)
				check(t, do(h, request(http.MethodPost, "echo_string", `{"v":"`+v+`"}`)), 200, `"`+v+`"`)
				check(t, do(h, request(http.MethodGet, "stop", "", basic("ana@localhost", "anchor: off")...)), 200, "0")
				check(t, do(h, request(http.MethodGet, "stop", "")), 403, denied)
				r := request(http.MethodGet, documentName, "")
				_ = do(h, httpd.WithInfo(r, httpd.InfoOf(r)))
				h.Configure(Defaults())
			}
		})
	}
	all.Wait()
}
