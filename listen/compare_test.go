package listen_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// TestCompareForetellsApply has Compare say what Apply then does.
func TestCompareForetellsApply(t *testing.T) {
	hi := func(entry string) string { return entry + ", greeting: hi" }
	otherModule := strings.Replace(one, "echo", "other", 1)
	tests := []struct {
		name          string
		before, after []string
		want          []string // of the steps: change, address and differences
	}{
		{"nothing", []string{one, dgram}, []string{one, dgram}, []string{"kept " + oneAddr, "kept " + dgramAddr}},
		{"first", nil, []string{one}, []string{"added " + oneAddr}},
		{"option", []string{one}, []string{hi(one)}, []string{"updated " + oneAddr + ` greeting: unset → "hi"`}},
		{"default again", []string{hi(one)}, []string{one}, []string{"updated " + oneAddr + ` greeting: "hi" → unset`}},
		{"default written", []string{one}, []string{one + ", greeting: hello"}, []string{"kept " + oneAddr}},
		{"socket option", []string{one}, []string{one + ", backlog: 5"}, []string{"updated " + oneAddr + " backlog: 128 → 5"}},
		{"module", []string{one}, []string{otherModule}, []string{"updated " + oneAddr + " module: echo → other"}},
		{"datagrams", []string{dgram}, []string{hi(dgram)}, []string{"updated " + dgramAddr + ` greeting: unset → "hi"`}},
		{"port", []string{one}, []string{two}, []string{"added " + twoAddr, "removed " + oneAddr}},
		{"overlap", []string{wild}, []string{one}, []string{"added " + oneAddr, "removed " + wildAddr}},
		{
			"families", []string{"port: 5222, ip: '::', module: echo"}, []string{"port: 5222, ip: '::', module: echo", wild},
			[]string{"restarted [::]:5222 network: tcp → tcp6", "added " + wildAddr},
		},
		{"all gone", []string{one, two}, nil, []string{"removed " + oneAddr, "removed " + twoAddr}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				before, after := w.config(tt.before...), w.config(tt.after...)
				if _, err := w.server.Apply(t.Context(), before); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				foretold, _, err := after.Compare(before)
				if err != nil {
					t.Fatal(err)
				}
				if got := words(foretold); !slices.Equal(got, tt.want) {
					t.Errorf("Compare: got %q, want %q", got, tt.want)
				}
				done, err := w.server.Apply(t.Context(), after)
				if err != nil {
					t.Fatal(err)
				}
				if got := words(done); !slices.Equal(got, tt.want) {
					t.Errorf("Apply: got %q, want %q", got, tt.want)
				}
				synctest.Wait()
			})
		})
	}
}

func words(steps []listen.Step) []string {
	var list []string
	for _, s := range steps {
		text := s.Change.String() + " " + s.Entry.Address
		for _, d := range s.Differences {
			text += " " + d.String()
		}
		list = append(list, text)
	}
	return list
}

// A configuration that cannot be applied cannot be compared.
func TestCompareRefuses(t *testing.T) {
	bad := &listen.Config{Entries: []listen.Entry{{Module: "nothing", Network: "tcp4", Address: twoAddr}}}
	if _, _, err := bad.Compare(&listen.Config{}); err == nil || !strings.Contains(err.Error(), `no module "nothing"`) {
		t.Errorf("got %v, want an error", err)
	}
}

// With port 0 the steps of a reload tell where the port is.
func TestStepsTellBoundAddress(t *testing.T) {
	w := newWorld(t, func(o *listen.ServerOptions) { o.Bind, o.Grace = nil, 0 })
	defer w.stop()
	const entry = "port: 0, ip: 127.0.0.1, module: echo"
	var bound string
	for _, step := range []struct {
		change  listen.Change
		entries []string
	}{
		{listen.Added, []string{entry}},
		{listen.Kept, []string{entry}},
		{listen.Updated, []string{entry + ", greeting: hi"}},
		{listen.Removed, nil},
	} {
		steps, err := w.server.Apply(t.Context(), w.config(step.entries...))
		if err != nil || len(steps) != 1 || steps[0].Change != step.change {
			t.Fatalf("got %+v, %v, want %v", steps, err, step.change)
		}
		if step.change == listen.Added {
			bound = steps[0].Bound
		}
		if _, port, _ := net.SplitHostPort(steps[0].Bound); port == "0" || steps[0].Bound != bound {
			t.Errorf("%v: got %s, want %s", step.change, steps[0].Bound, bound)
		}
	}
}

// That nobody uses an inherited socket is said once, and not at each reload.
func TestUnusedInheritedSocketIsToldOnce(t *testing.T) {
	ln := listentest.NewListener()
	w := newWorld(t, func(o *listen.ServerOptions) {
		o.Inherit = []listen.Inherited{{Name: "spare", Listener: ln}}
	})
	defer w.stop()
	for i := range 3 {
		if _, err := w.server.Apply(t.Context(), w.config(one+fmt.Sprintf(", greeting: hello%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(w.log.String(), "no listener uses an inherited socket"); n != 1 {
		t.Errorf("the log says it %d times, want once:\n%s", n, w.log)
	}
}
