package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// How long a server may take to start and to end.
const (
	startTimeout = time.Minute
	endTimeout   = 10 * time.Second
)

// process is a server that we have started.
type process struct {
	cmd     *exec.Cmd
	addr    string        // the first that it listens on
	listens []string      // all of them
	log     string        // file with what it prints
	done    chan struct{} // closed when it has ended
}

// launch starts a program that listens on addresses and waits until it does. What
// it prints goes to a file in dir. A process that does not get there is ended.
func launch(ctx context.Context, dir string, listens []string, cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, addr: listens[0], listens: listens, log: filepath.Join(dir, "output"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the process has it open as well
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended does not matter: only whether we asked for it
	}()
	if err := p.ready(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// ready waits until the process accepts connections.
func (p *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, addr := range p.listens {
		if err := p.accepts(ctx, addr); err != nil {
			return err
		}
	}
	return nil
}

func (p *process) accepts(ctx context.Context, addr string) error {
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		if c, err := new(net.Dialer).DialContext(ctx, "tcp", addr); err == nil {
			return c.Close()
		}
		select {
		case <-poll.C:
		case <-p.done:
			return fmt.Errorf("%s has ended: %s", filepath.Base(p.cmd.Path), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w: %s", filepath.Base(p.cmd.Path), addr, context.Cause(ctx), p.tail())
		}
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process, if need be without its consent, and waits for that.
func (p *process) stop() {
	if p == nil || p.ended() {
		return
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err == nil {
		timer := time.NewTimer(endTimeout)
		defer timer.Stop()
		select {
		case <-p.done:
			return
		case <-timer.C:
		}
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail returns the end of what the process has printed.
func (p *process) tail() string {
	const most = 1000
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// withDescriptors returns a command that may open as many files as this process
// may: what a Go program starts gets the lower limit that it was started with.
func withDescriptors(name string, args ...string) *exec.Cmd {
	sh, err := exec.LookPath("sh")
	if err != nil {
		return exec.Command(name, args...)
	}
	return exec.Command(sh, append([]string{"-c", `ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"`, name}, args...)...)
}

// freePort returns a port of 127.0.0.1 that nobody uses, neither by TCP nor by UDP.
func freePort() (int, error) {
	for {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		pc, err := net.ListenPacket("udp", ln.Addr().String())
		if err := ln.Close(); err != nil {
			return 0, err
		}
		switch {
		case err == nil:
			return ln.Addr().(*net.TCPAddr).Port, pc.Close()
		case !errors.Is(err, syscall.EADDRINUSE):
			return 0, err
		}
	}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// errNotInstalled says that a program is not on this machine.
var errNotInstalled = errors.New("not installed")

// find looks for a program in the path and in further folders.
func find(name string, folders ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, f := range folders {
		if path, err := exec.LookPath(filepath.Join(f, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, errNotInstalled)
}
