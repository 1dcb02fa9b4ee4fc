"""A compiler for functions that only kernels call: it leaves machine code to their callers."""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import IRLegalization


class LinkedCode(JITCodeLibrary):
    """LLVM's code of a function, which is linked into the code of its callers.

    It is optimized and translated to machine code there only. Numba would also do so for the
    function by itself, although nobody calls the result.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return the null pointer: there is no machine code."""
        return 0

    @property
    def codegen(self) -> "LinkedCode":
        """What has `set_env`."""
        return self

    def set_env(self, name: str, environment: object) -> None:
        """Do nothing: there is no machine code to be given its environment."""


@register_pass(mutates_CFG=False, analysis_only=False)
class KeepForCallers(LoweringPass):
    """Has the next pass, which emits LLVM's code, put it into a LinkedCode."""

    _name = "keep_for_callers"

    def __init__(self) -> None:
        """Do nothing; the base class has it abstract."""

    def run_pass(self, state: Any) -> bool:
        """Return False: the function stays as it is."""
        state.library = LinkedCode(state.targetctx.codegen(), state.func_id.func_qualname)
        return False


class KernelCompiler(CompilerBase):
    """Numba's compiler for functions that only other kernels call."""

    def define_pipelines(self) -> list[Any]:
        """Return the passes."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(KeepForCallers, IRLegalization)
        passes.finalize()
        return [passes]
