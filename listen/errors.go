package listen

import "github.com/tidewaiter/tidewaiter/internal/conf"

// Error is one problem of a configuration, with its position.
type Error = conf.Error

// ParseError is the error of Parse, Load and FromTree for a configuration with
// mistakes.
type ParseError = conf.ParseError
