package xmppstream

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestVersion(t *testing.T) {
	tests := []struct {
		version string
		old, ok bool
	}{
		{"", true, true}, {"0.9", true, true}, {"0.0", true, true}, {"1.0", false, true}, {"1.1", false, true},
		{"10.0", false, true}, {"1", false, false}, {"1.", false, false}, {".1", false, false}, {"-1.0", false, false},
		{"1.0.0", false, false}, {"a", false, false}, {"99999.0", false, false},
	}
	unsupported := &stanza.StreamError{Condition: stanza.StreamUnsupportedVersion}
	for _, tt := range tests {
		old, err := IsOld(tt.version)
		if old != tt.old || (err == nil) != tt.ok {
			t.Errorf("IsOld(%q): got %v, %v; want %v, ok %v", tt.version, old, err, tt.old, tt.ok)
		}
		if !tt.ok && !errors.Is(err, unsupported) {
			t.Errorf("IsOld(%q): got %v, want unsupported-version", tt.version, err)
		}
		err = CheckVersion(tt.version)
		if enough := tt.ok && !tt.old; enough && err != nil || !enough && !errors.Is(err, unsupported) {
			t.Errorf("CheckVersion(%q): got %v, want an error: %t, unsupported-version", tt.version, err, !enough)
		}
	}
}

func TestCheckLang(t *testing.T) {
	if err := CheckLang(strings.Repeat("x", 35)); err != nil {
		t.Errorf("35 bytes: got %v, want nil", err)
	}
	if err := CheckLang(strings.Repeat("x", 36)); !errors.Is(err, &stanza.StreamError{Condition: stanza.StreamPolicyViolation}) {
		t.Errorf("36 bytes: got %v, want policy-violation", err)
	}
}
