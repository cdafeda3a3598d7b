package exercise

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// errNotPassed fails the cell of a check, see [Report].
var errNotPassed = errors.New("this exercise is not passed")

// proof is what a check that is passed prints for who grades it. It is taken out of the environment
// before anything of the reader's runs, so that not everybody can print it.
var proof = func() string {
	const variable = "UDPKIT_GRADE_PROOF"
	defer os.Unsetenv(variable)
	return os.Getenv(variable)
}()

// Report prints the verdict of a check: what is missing, or "" if nothing is. It is one line, which
// begins with "✓" if all is right and with "✗ Not yet: " if something is missing, so that a grader
// can read it too. A check that was cancelled has no verdict, and the line says so; what was found
// missing before a deadline stands.
//
// It returns err, which is what kept the check from being made. An answer that is wrong is no
// error: neither is an exercise that nobody has done yet. But with the environment variable
// UDPKIT_GRADE=1 every check that is not passed is an error, which fails its cell.
func Report(ctx context.Context, missing string, err error) error {
	switch {
	case err != nil:
		return err
	case errors.Is(ctx.Err(), context.Canceled), ctx.Err() != nil && missing == "":
		fmt.Println("The check was interrupted.")
	case missing != "":
		fmt.Println("✗ Not yet: " + missing)
	default:
		fmt.Println("✓ All that was asked for. Well done!")
		if proof != "" {
			fmt.Println(proof)
		}
		return nil
	}
	if grading() {
		return errNotPassed
	}
	return nil
}

func grading() bool {
	grade := os.Getenv("UDPKIT_GRADE")
	return grade != "" && grade != "0"
}
