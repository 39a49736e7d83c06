package xmppstream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestReason(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want stanza.StreamCondition // "": nothing
	}{
		{"no error", nil, ""},
		{"end of the connection", io.EOF, ""},
		{"error of a stanza", &stanza.Error{Condition: stanza.BadRequest}, ""},
		{"deadline", fmt.Errorf("read: %w", os.ErrDeadlineExceeded), stanza.StreamConnectionTimeout},
		{"stream error", fmt.Errorf("open: %w", ErrShutdown), stanza.StreamSystemShutdown},
		{"stream error with a deadline", errors.Join(os.ErrDeadlineExceeded, ErrPanic), stanza.StreamInternalServerError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Reason(tt.err)
			if got == nil && tt.want != "" || got != nil && got.Condition != tt.want {
				t.Errorf("got %v, want condition %q", got, tt.want)
			}
		})
	}
}
