#include "rig.h"
static int tests(void)
{
        return 0;
}
int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
