package listen_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen"
)

// asService makes the test binary play a service that systemd has started: its
// value is the configuration.
const asService = "TIDEWAITER_TEST_SERVICE"

func TestMain(m *testing.M) {
	if config := os.Getenv(asService); config != "" {
		if err := service(config); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// service runs until its standard input ends.
func service(config string) error {
	_ = os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid())) // the parent cannot know it
	inherited, err := listen.Inherit()
	if err != nil {
		return err
	}
	reg := listen.NewRegistry(listen.StreamKind("echo", &echo{}, defaults), listen.PacketKind("pong", &pong{}, defaults))
	c, err := listen.Parse("service.yml", []byte(config), reg)
	if err != nil {
		return err
	}
	s := listen.New(reg, listen.ServerOptions{Inherit: inherited, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if _, err := s.Apply(context.Background(), c); err != nil {
		return err
	}
	if err := listen.Notify(listen.Ready, "serving"); err != nil {
		return err
	}
	_, _ = os.Stdin.Read(make([]byte, 1))
	if err := listen.Notify(listen.Stopping, ""); err != nil {
		return err
	}
	return s.Shutdown(context.Background())
}
