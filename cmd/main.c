#include "cmd/program.h"

int main(int argc, char **argv)
{
	return ol_program_main(argc, argv);
}
