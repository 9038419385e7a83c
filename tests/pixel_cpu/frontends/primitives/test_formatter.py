import re

import pytest
from primitives_runs import thread_code

from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives import compile_source, format_source
from pixel_cpu.ir.text import write

UGLY = """

# about saxpy
gpu_kernel  saxpy  latency_critical   # quick
GPU_PARAM a   FLOAT
gpu_param x float [ ]
# the result
GPU_PARAM y float[]
GPU_SHARED t int[ 4*8 ]
gpu_thread_code :

  # who am I
  thread_id→i ;  LOAD x [ i ]→xv


  IF i<length( x )AND not(xv==- 1.5):
  MUL a,xv → u
    # at the end of the block
  ELSE :
  CALCULATE u=-a*SQRT( ABS (xv) )**2+( 1 )
  ENDIF
  if i==0 : PRINT "a  b" ,i,( -i ) else : print i
  FOR k in 0 .. 4 step -1 :
      # only
      SUB u -1->u ;continue
  CALCULATE t[ 0 ]=k2(i)
  #unindented
  Store u→y[i]
     # last
gpu_end
func k2( n INT )->int=n*2
gpu_alloc x Float[ n ]
gpu_alloc y float[n]
gpu_launch saxpy blocks 4 threads n x = x,y=y , a = - 1.5
"""
FINE = """\
# about saxpy
GPU_KERNEL saxpy LATENCY_CRITICAL  # quick
    GPU_PARAM a float
    GPU_PARAM x float[]
    # the result
    GPU_PARAM y float[]
    GPU_SHARED t int[4 * 8]
    GPU_THREAD_CODE:

        # who am I
        THREAD_ID -> i; LOAD x[i] -> xv

        IF i < length(x) and not (xv == -1.5):
            MUL a xv -> u
            # at the end of the block
        ELSE:
            CALCULATE u = -a * sqrt(abs(xv)) ** 2 + (1)
        ENDIF
        IF i == 0: PRINT "a  b" i (-i) ELSE: PRINT i
        FOR k IN 0..4 STEP -1:
            # only
            SUB u -1 -> u; CONTINUE
        CALCULATE t[0] = k2(i)
        # unindented
        STORE u -> y[i]
        # last
GPU_END
FUNC k2(n int) -> int = n * 2
GPU_ALLOC x float[n]
GPU_ALLOC y float[n]
GPU_LAUNCH saxpy BLOCKS 4 THREADS n x=x y=y a=-1.5
"""


def without_lines(text):
    return re.sub(r" !\d+", "", write(compile_source(text).module))


def test_the_canonical_form():
    assert format_source(UGLY) == FINE.replace("# unindented", "#unindented")


def test_formatting_changes_neither_meaning_nor_itself():
    once = format_source(UGLY)
    assert format_source(once) == once
    assert without_lines(once) == without_lines(UGLY)
    assert [each.__class__ for each in compile_source(once).host] == [
        each.__class__ for each in compile_source(UGLY).host
    ]


@pytest.mark.parametrize(
    "comment", ["#c", "  #c", "            #c", "                #c", "\t\t#c", "                                #c"]
)
@pytest.mark.parametrize("place", range(12))
def test_a_comment_anywhere_stays_and_settles(comment, place):
    lines = thread_code("IF true:\n    PRINT 1\n    WHILE false:\n        PRINT 2\nELSE:\n    PRINT 3\nPRINT 4").split(
        "\n"
    )
    text = "\n".join([*lines[:place], comment, *lines[place:]])
    once = format_source(text)
    assert "#c" in once and format_source(once) == once and without_lines(once) == without_lines(text)


def test_empty_texts():
    assert format_source("") == "" and format_source("\n\n") == "" and format_source("#a") == "#a\n"


def test_what_does_not_parse_is_not_touched():
    with pytest.raises(SourceError) as caught:
        format_source(thread_code("LAOD\nLAOD"), "a.gpk")
    assert caught.value.line == 4 and len(caught.value.others) == 1
