package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/lab"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func gradeCommand() *cobra.Command {
	var asJSON, asCSV bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "grade DIR",
		Short: "Check students' answers to the exercises, and print the points of each",
		Example: "  udpkit grade handed-in" + "\n" +
			"  udpkit grade handed-in --csv > marks.csv",
		Long: "Check the answers in the notebooks of students, each of whom has a directory in DIR, or of the one whose notebooks\n" +
			"are in DIR itself. They have the names that \"udpkit handout\" gave them, and stay as they are: copies are run, without\n" +
			"a browser, each in a directory of its own and, on Linux, without a network. What runs is what the answers declare and\n" +
			"the checks of this version, so that it does not matter what became of those in the copy.\n\n" +
			"It runs with your rights. If you do not know the students, do it in a container. An answer that sets out to forge a\n" +
			"verdict can: who reads it sees that.\n\n" +
			"For another grader, such as nbgrader: where UDPKIT_GRADE=1 is set, a check that is not passed fails its cell.",
		Args: oneDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON && asCSV {
				return usageError{errors.New("--json and --csv exclude each other")}
			}
			marks, err := lab.Grade(cmd.Context(), lab.Config{Stdout: panel.Output(cmd.Context(), progress)}, args[0], limit)
			if err != nil {
				return err
			}
			print := printMarks
			switch {
			case asJSON:
				print = printMarksJSON
			case asCSV:
				print = printMarksCSV
			}
			return print(panel.Output(cmd.Context(), stdout), marks)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object for each student and exercise, one on a line")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print a table that spreadsheets read")
	cmd.Flags().DurationVar(&limit, "limit", lab.DefaultGradeLimit, "time that each notebook of a student has")
	return cmd
}

// printMarks prints a table, with a sum for each student.
func printMarks(out io.Writer, marks []lab.Mark) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STUDENT\tNOTEBOOK\tEXERCISE\tPOINTS\tMISSING")
	points, of := 0, 0
	for i, m := range marks {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d of %d\t%s\n", panel.Printable(m.Student), m.Notebook, m.Exercise, m.Points, m.Of, m.Said)
		points, of = points+m.Points, of+m.Of
		if i+1 == len(marks) || marks[i+1].Student != m.Student {
			fmt.Fprintf(table, "%s\tall\t\t%d of %d\t\n", panel.Printable(m.Student), points, of)
			points, of = 0, 0
		}
	}
	return table.Flush()
}

func printMarksJSON(out io.Writer, marks []lab.Mark) error {
	lines := json.NewEncoder(out)
	for _, m := range marks {
		if err := lines.Encode(m); err != nil {
			return err
		}
	}
	return nil
}

func printMarksCSV(out io.Writer, marks []lab.Mark) error {
	table := csv.NewWriter(out)
	_ = table.Write([]string{"student", "notebook", "exercise", "points", "of", "said"}) // Error says it
	for _, m := range marks {
		_ = table.Write([]string{plainCell(m.Student), m.Notebook, m.Exercise, strconv.Itoa(m.Points), strconv.Itoa(m.Of), plainCell(m.Said)})
	}
	table.Flush()
	return table.Error()
}

// plainCell keeps a spreadsheet from computing what a student has written.
func plainCell(text string) string {
	if text != "" && strings.Contains("=+-@\t\r\n", text[:1]) {
		return "'" + text
	}
	return text
}
