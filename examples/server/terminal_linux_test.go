package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal returns both ends of a terminal: where somebody types, and where a program
// reads.
func terminal(t *testing.T) (typist, program *os.File) {
	t.Helper()
	typist, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { typist.Close() })
	fd := int(typist.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	return typist, program
}

func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// What is typed at a prompt is not shown, and what is typed after it is.
func TestPromptHidesInput(t *testing.T) {
	typist, program := terminal(t)
	hidden := make(chan bool, 1)
	var screen strings.Builder
	c := ctlClient{in: program, err: writerFunc(func(p []byte) (int, error) {
		if string(p) == "password: " {
			hidden <- !echoes(t, program)
			if _, err := typist.WriteString("s3cret\n"); err != nil {
				t.Error(err)
			}
		}
		return screen.Write(p)
	})}
	line, err := c.ask("password: ", bufio.NewReader(program))
	if err != nil || line != "s3cret" || !<-hidden {
		t.Errorf("got %q, %v, want the line, and that it was hidden", line, err)
	}
	if !echoes(t, program) {
		t.Error("the terminal shows nothing any more")
	}
	if got := screen.String(); got != "password: \n" {
		t.Errorf("on the screen: got %q, want the prompt alone", got)
	}
}

// writerFunc is an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
