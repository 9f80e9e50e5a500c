#pragma once

/* The whole program: finds the command, parses its line, runs it, tells what went wrong. Returns
 * the exit status. */
int ol_program_main(int argc, char **argv);
