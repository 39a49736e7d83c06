package pending

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func jid(t *testing.T, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func all(string) bool { return true }

func TestTake(t *testing.T) {
	var table Table[string]
	id, err := table.Add(jid(t, "a@a.test/x"), 1, "one", func(string) { t.Error("late was called") })
	if err != nil {
		t.Fatal(err)
	}
	other, err := table.Add(jid(t, "a@a.test/x"), 1, "two", func(string) {})
	if err != nil || other == id {
		t.Fatalf("ids %q and %q, %v", id, other, err)
	}
	if _, ok := table.Take("else", all); ok {
		t.Error("took what is not there")
	}
	if _, ok := table.Take(id, func(string) bool { return false }); ok {
		t.Error("took what does not match")
	}
	if v, ok := table.Take(id, func(v string) bool { return v == "one" }); !ok || v != "one" {
		t.Errorf("got %q, %t", v, ok)
	}
	if _, ok := table.Take(id, all); ok {
		t.Error("took it twice")
	}
	if rest := table.TakeAll(all); len(rest) != 1 || rest[0] != "two" || table.Len() != 0 {
		t.Errorf("TakeAll: got %q, %d are left", rest, table.Len())
	}
}

func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table Table[string]
		late := make(chan string, 1)
		id, err := table.Add(jid(t, "a@a.test"), 1, "one", func(v string) { late <- v })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(Timeout - time.Nanosecond)
		synctest.Wait()
		if table.Len() != 1 {
			t.Fatal("it is over too early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		select {
		case v := <-late:
			if v != "one" {
				t.Errorf("late with %q", v)
			}
		default:
			t.Fatal("late was not called")
		}
		if _, ok := table.Take(id, all); ok || table.Len() != 0 {
			t.Error("it is still there")
		}
	})
}

func TestBounds(t *testing.T) {
	tests := []struct {
		name  string
		ofOne int
		from  func(i int) string
		size  int
		want  int
	}{
		{"of one account", 0, func(i int) string { return fmt.Sprintf("a@a.test/%d", i) }, 1, MaxOfOne},
		{"of one account, as set", 7, func(int) string { return "a.test" }, 1, 7},
		{"requests", 0, func(i int) string { return fmt.Sprintf("u%d@a.test", i) }, 1, MaxRequests},
		{"bytes", 0, func(i int) string { return fmt.Sprintf("u%d@a.test", i) }, 1 << 20, MaxBytes >> 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := Table[int]{OfOne: tt.ofOne}
			every := func(int) bool { return true }
			add := func(i int) error {
				_, err := table.Add(jid(t, tt.from(i)), tt.size, i, func(int) {})
				return err
			}
			for round := range 2 { // all that is taken makes place again
				n := 0
				for add(n) == nil {
					n++
				}
				if n != tt.want {
					t.Errorf("round %d: took %d, want %d", round, n, tt.want)
				}
				if err := add(n); !errors.Is(err, ErrFull) {
					t.Errorf("got %v, want %v", err, ErrFull)
				}
				if got := len(table.TakeAll(every)); got != n {
					t.Errorf("TakeAll: got %d, want %d", got, n)
				}
			}
			if len(table.of) != 0 || table.bytes != 0 {
				t.Errorf("%d accounts and %d bytes are left", len(table.of), table.bytes)
			}
		})
	}
	if !strings.Contains(ErrFull.Error(), "resource-constraint") {
		t.Errorf("ErrFull is %v", ErrFull)
	}
}
