//go:build !race

package xmlrpc

import "testing"

// A call that asks for a number takes next to nothing: what net/http wants to hear of
// the answer, what the command returns, and the line of the log.
func TestAllocs(t *testing.T) {
	h := handler(t, everybody)
	for _, tt := range []struct {
		name string
		call func()
		most float64
	}{
		{"number", again(h, document("connected_users_number")), 8},
		{"answer of 100", again(h, document("everybody")), 2*100 + 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(200, tt.call); got > tt.most {
				t.Errorf("got %v allocations, want at most %v", got, tt.most)
			}
		})
	}
	t.Run("list of 100", func(t *testing.T) {
		d, doc := new(decoder), document("strings", structure{{"v", hundred()}})
		got := testing.AllocsPerRun(200, func() {
			if _, err := d.decode(doc); err != nil {
				t.Fatal(err)
			}
		})
		if most := 2*100 + 8.0; got > most { // a string and what it is in
			t.Errorf("got %v allocations, want at most %v", got, most)
		}
	})
}
