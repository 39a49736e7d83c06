//go:build !race

package api

import (
	"net/http"
	"testing"
)

// A call takes little more than what net/http wants to hear of the answer, a piece of
// memory for each header.
func TestAllocs(t *testing.T) {
	h := handler(t, everybody)
	for _, tt := range []struct {
		name string
		call func()
		most float64
	}{
		{"number", again(h, http.MethodPost, "connected_users_number", "{}"), 14},
		{"number by GET", again(h, http.MethodGet, "connected_users_number", ""), 12},
		{"list of 100", again(h, http.MethodPost, "echo_strings", hundred), 4*100 + 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(200, tt.call); got > tt.most {
				t.Errorf("got %v allocations, want at most %v", got, tt.most)
			}
		})
	}
}
