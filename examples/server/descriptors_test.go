package main

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/listen"
)

func TestDescriptorsNeeded(t *testing.T) {
	tests := []struct {
		name    string
		entries []listen.Entry
		want    uint64
	}{
		{"no listener", nil, 10_064},
		{"streams", make([]listen.Entry, 3), 10_067},
		{"readers", []listen.Entry{{Socket: listen.SocketOptions{Readers: 8}}}, 10_072},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := descriptorsNeeded(&listen.Config{Entries: tt.entries}); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// What is suggested is enough, with room to grow.
func TestSuggestedDescriptors(t *testing.T) {
	for _, need := range []uint64{1, 10_064, 1 << 20} {
		if got := suggested(need); got < 2*need || got > 4*need && got > 1024 {
			t.Errorf("%d needed: got %d suggested", need, got)
		}
	}
}
