package xmlrpc

import (
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

// The codes of faults, which are those of ejabberd.
const (
	faultCall       = -112 // what is called, or the form of the call, is not known
	faultTwice      = -114 // an argument is there twice
	faultMissing    = -116 // an argument is not there
	faultFailed     = -118 // wrong credentials, no permission, any error of the command
	faultUnexpected = -120 // there are more arguments than the command has
	faultType       = -122 // an argument has another type
)

// fault is why a call has no result.
type fault struct {
	code int
	text string
}

func (f *fault) Error() string { return fmt.Sprintf("Error %d\n%s", f.code, f.text) }

func unknownCall() *fault { return &fault{faultCall, "Unknown call"} }

func denied() *fault { return &fault{faultFailed, calls.ErrDenied.Error()} }

func twice(name string) *fault {
	return &fault{faultTwice, fmt.Sprintf("argument %.64q is given twice", name)}
}

// argumentFault is the fault for arguments that command.Command.Arguments refuses.
func argumentFault(err error) *fault {
	e := command.Fault(err)
	code := faultType
	switch e.Kind {
	case command.MissingArgument:
		code = faultMissing
	case command.UnknownArgument:
		code = faultUnexpected
	}
	return &fault{code, e.Text}
}
