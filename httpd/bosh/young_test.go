package bosh

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// There is a bound for all clients together that have not logged in.
func TestYoungOfAll(t *testing.T) {
	h := New(Host{})
	h.strange = maxYoung
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/bosh", strings.NewReader("<body xmlns='"+nsBind+"' rid='1' to='a.test' ver='1.6'/>")))
	if got := w.Body.String(); !strings.Contains(got, "condition='policy-violation'") || len(h.sessions) > 0 {
		t.Errorf("got %q and %d sessions, want policy-violation and none", got, len(h.sessions))
	}
}
