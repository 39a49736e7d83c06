package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, &out); err != nil {
		t.Fatal(err)
	}
	want := "two.example got <message from='ana@one.example/quay' to='bo@two.example' type='chat' id='1'><body>Ahoy!</body></message>\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
