# SPDX-License-Identifier: GPL-3.0-or-later
#
# Says which Python packages a link needs and are missing, and how to get them. The list is pyproject.toml's own.

execute_process(
    COMMAND "${PYTHON_EXECUTABLE}" "${CMAKE_SOURCE_DIR}/tools/requirements.py" --missing demo
    OUTPUT_VARIABLE SEMCOM_MISSING
    RESULT_VARIABLE semcom_status
    OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT semcom_status EQUAL 0)
    message(WARNING "${PYTHON_EXECUTABLE} could not check the Python packages that gr-semcom needs (Python 3.11 or newer?)")
elseif(SEMCOM_MISSING)
    string(REPLACE "\n" " " SEMCOM_MISSING "${SEMCOM_MISSING}")
    message(WARNING
        "${PYTHON_EXECUTABLE} lacks Python packages that gr-semcom runs with: ${SEMCOM_MISSING}\n"
        "It will install, but links that need them will not run. Debian's own Python refuses pip; "
        "a virtual environment that sees the system's packages takes them:\n"
        "  /usr/bin/python3 -m venv --system-site-packages ~/semcom-env\n"
        "  ~/semcom-env/bin/pip install -c ${CMAKE_SOURCE_DIR}/constraints.txt ${SEMCOM_MISSING}\n"
        "Then configure again with -DPYTHON_EXECUTABLE=$ENV{HOME}/semcom-env/bin/python "
        "(or run `make setup`, which does all this in the source tree).")
else()
    message(STATUS "Python packages that gr-semcom runs with - found")
endif()
