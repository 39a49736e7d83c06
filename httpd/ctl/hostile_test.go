package ctl

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// Command lines that are bombs are refused, and leave nothing behind; nor do names that
// nobody has.
func TestBombs(t *testing.T) {
	c := client(t, serve(t, New(Host{Commands: harbour(t), Permissions: permit{}})))
	post := func(body string) int {
		t.Helper()
		a, err := c.Post("http://ctl/", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		return a.StatusCode
	}
	const deep = 500_000
	run(t, c, "yes")
	before := heap()
	for name, tt := range map[string]struct {
		body string
		want int
	}{
		"arrays":                     {strings.Repeat("[", deep), 400},
		"arrays in a word":           {`["texts","` + strings.Repeat("[", deep) + `"]`, 200},
		"arrays that end, in a word": {`["texts","` + strings.Repeat("[", deep/2) + strings.Repeat("]", deep/2) + `"]`, 200},
		"objects in a word":          {`["pair","` + strings.Repeat(`{\"a\":`, deep/10) + `"]`, 200},
		"words":                      {"[" + strings.Repeat(`"",`, deep/2) + `""]`, 200},
		"commas":                     {`["texts","` + strings.Repeat(",", deep) + `"]`, 200},
		"colons":                     {`["pair","` + strings.Repeat(":", deep) + `"]`, 200},
		"numbers":                    {"[" + strings.Repeat("1,", deep/2) + `1]`, 400},
		"name":                       {`["` + strings.Repeat("a_", deep/2) + `"]`, 200},
	} {
		if got := post(tt.body); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
	for i := range 5000 {
		run(t, c, fmt.Sprintf("no_such_command_%0100d", i))
	}
	c.CloseIdleConnections()
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("the heap has grown by %d bytes, want next to nothing", grown)
	}
	if got := post(`["yes"]`); got != http.StatusOK {
		t.Errorf("after all: got %d, want 200", got)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
